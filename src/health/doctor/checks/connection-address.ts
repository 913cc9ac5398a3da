import type { EngineName } from "../../../errors.ts";
import type { Check } from "../check.ts";
import { areLoopback, hindered } from "../reach.ts";
import type { StackScope } from "../scope.ts";
import { TITLES, VARIABLES } from "../words.ts";

/** The line of each server's configuration, and what it takes to be read. */
const SETTINGS: Readonly<Record<EngineName, (ip: string, port: number) => string>> = {
  neo4j: (ip, port) => `server.bolt.listen_address=${ip}:${port} in neo4j.conf`,
  postgres: (ip) => `listen_addresses = 'localhost,${ip}' in postgresql.conf`,
  redis: (ip) => `bind 127.0.0.1 ${ip} in redis.conf`,
  sqlite: () => "",
};

export const connectionAddress: Check<StackScope> = {
  id: "connection-address",
  area: "stack",
  title: "a server of this host listens on another address",
  looks: "/proc/net/tcp and tcp6: which addresses listen at the port of each configured server",
  async run(_call, scope) {
    return (await hindered(scope, "address")).map(({ report, address, obstacle }) => {
      const { engine } = report;
      const { listeners, ip } = obstacle;
      const onlyHere = areLoopback(listeners);
      const instead = listeners[0]!.includes(":") ? `[${listeners[0]}]` : listeners[0];
      return {
        severity: "error",
        subject: `${engine} at ${address!.shown}`,
        evidence: `port ${address!.port} of this host is open on ${listeners.join(", ")} only; the URL names ${address!.host}${address!.host === ip ? "" : ` (${ip})`}`,
        cause: onlyHere
          ? `${TITLES[engine]} takes connections from this host alone, by its loopback address`
          : `${TITLES[engine]} was told to listen on other addresses than the one that is asked`,
        remedies: [],
        advice: `name ${instead}:${address!.port} in ${VARIABLES[engine]}; or let the server listen there too: ${SETTINGS[engine](ip, address!.port)}, then restart it`,
      };
    });
  },
};
