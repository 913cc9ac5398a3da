import { ask, type PostgresCheck, toSet } from "./kit.ts";
import { placeOf } from "./where.ts";

export const listenAddress: PostgresCheck = {
  id: "postgres-listen-address",
  area: "postgres",
  title: "the server listens beyond this host without TLS",
  looks: "listen_addresses, ssl",
  async run(call, scope) {
    const [row] = await ask<{ addresses: string; tls: string }>(
      call,
      scope,
      "SELECT current_setting('listen_addresses') AS addresses, current_setting('ssl') AS tls",
    );
    const { addresses, tls } = row!;
    const open = addresses
      .split(",")
      .map((address) => address.trim())
      .filter(
        (address) =>
          address !== "" && address !== "localhost" && address !== "::1" && !address.startsWith("127."),
      );
    if (tls === "on" || open.length === 0) return [];
    const place = await placeOf(call, scope);
    // a container has to listen on its network: what its host publishes decides, and that is this host's loopback as far as is known
    const isPublished = place === "forwarded";
    return [
      {
        severity: isPublished ? "info" : "warning",
        subject: "listen_addresses",
        evidence: `listen_addresses = '${addresses}' with ssl = off`,
        cause: isPublished
          ? "the server runs in a container or behind a tunnel: it is as open as its port is published"
          : "passwords' proofs and all data pass the network in clear text",
        ...(place === "here"
          ? await toSet(call, scope, "listen_addresses", "localhost")
          : {
              remedies: [],
              advice: isPublished
                ? "publish it for this host only: 127.0.0.1:5432:5432 in docker-compose.yml; or ssl = on with a certificate"
                : "ssl = on with ssl_cert_file and ssl_key_file in postgresql.conf, hostssl lines in pg_hba.conf, and sslmode=verify-full in DATABASE_URL",
            }),
      },
    ];
  },
};
