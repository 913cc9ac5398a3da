import { ask, type PostgresCheck } from "./kit.ts";
import { isLoopback } from "./where.ts";

export const sslOff: PostgresCheck = {
  id: "postgres-ssl-off",
  area: "postgres",
  title: "opsctl talks to a distant server in clear text",
  looks: "pg_stat_ssl of this connection, where DATABASE_URL leads beyond loopback",
  async run(call, scope) {
    if (isLoopback(scope)) return [];
    const [row] = await ask<{ encrypted: boolean; offered: string }>(
      call,
      scope,
      "SELECT ssl AS encrypted, current_setting('ssl') AS offered FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
    );
    if (row === undefined || row.encrypted) return [];
    return [
      {
        severity: "warning",
        subject: `connection to ${scope.connection.where.address}`,
        evidence: `not encrypted; the server has ssl = ${row.offered}`,
        cause: "whoever is on the way reads and changes statements and data",
        remedies: [],
        advice: `${row.offered === "on" ? "" : "ssl = on with a certificate in postgresql.conf, then "}sslmode=verify-full in DATABASE_URL`,
      },
    ];
  },
};
