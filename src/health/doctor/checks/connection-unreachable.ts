import type { Check } from "../check.ts";
import { hindered } from "../reach.ts";
import type { StackScope } from "../scope.ts";
import { TITLES, UNITS } from "../words.ts";

const CODES: Readonly<Record<string, string>> = {
  ETIMEDOUT: "no connection came about within 1.5 s",
  EHOSTUNREACH: "there is no way to the host (EHOSTUNREACH)",
  ENETUNREACH: "there is no way to its network (ENETUNREACH)",
  EACCES: "a connection is not permitted (EACCES)",
};

export const connectionUnreachable: Check<StackScope> = {
  id: "connection-unreachable",
  area: "stack",
  title: "a server cannot be reached, or stands still",
  looks: "a TCP connection to each configured server, and a greeting in its protocol",
  async run(_call, scope) {
    return (await hindered(scope, "unreachable")).map(({ report, address, obstacle, message }) => {
      const { engine } = report;
      const isFrozen = obstacle.code === "silent";
      const seen = CODES[obstacle.code] ?? `connecting failed (${obstacle.code})`;
      return {
        severity: "error",
        subject: `${engine} at ${address!.socket ?? address!.shown}`,
        evidence: isFrozen
          ? `it takes connections and answers none of them; opsctl met: ${message}`
          : `${seen}; opsctl met: ${message}`,
        cause: isFrozen
          ? `${TITLES[engine]} is stopped, overloaded or waits for its disk: the kernel takes connections, and nobody serves them`
          : "the host is down, or a firewall or a lost route drops what is sent to it",
        remedies: [],
        advice: isFrozen
          ? `on that host: systemctl status ${UNITS[engine]}; top and iostat -x 1 show what it waits for; a state T in ps means that it was stopped (kill -CONT PID)`
          : `try: ping ${address!.host}; nc -vz ${address!.host} ${address!.port}; look at firewalls between here and there`,
      };
    });
  },
};
