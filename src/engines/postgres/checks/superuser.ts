import { identifier } from "../quoting.ts";
import { ask, type PostgresCheck } from "./kit.ts";

export const superuser: PostgresCheck = {
  id: "postgres-superuser",
  area: "postgres",
  title: "opsctl works as a superuser",
  looks: "is_superuser of the role in DATABASE_URL",
  async run(call, scope) {
    const [row] = await ask<{ value: string }>(
      call,
      scope,
      "SELECT current_setting('is_superuser') AS value",
    );
    if (row!.value !== "on") return [];
    const { user, database } = scope.connection.where;
    return [
      {
        severity: "info",
        subject: `role ${user}`,
        evidence: "it is a superuser",
        cause: "whoever gets its password can read and write every file of the server's user",
        remedies: [],
        advice: `a role of its own for the daily work: CREATE ROLE opsctl LOGIN; ALTER DATABASE ${identifier(database)} OWNER TO opsctl; GRANT pg_monitor TO opsctl; \\password opsctl`,
      },
    ];
  },
};
