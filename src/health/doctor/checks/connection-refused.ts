import { isIP } from "node:net";
import type { Check } from "../check.ts";
import { hindered } from "../reach.ts";
import type { StackScope } from "../scope.ts";
import { TITLES, UNITS, VARIABLES } from "../words.ts";

export const connectionRefused: Check<StackScope> = {
  id: "connection-refused",
  area: "stack",
  title: "nothing listens where a server should",
  looks: "a TCP connection to each configured server; /proc/net/tcp and tcp6 of this host",
  async run(_call, scope) {
    return (await hindered(scope, "refused")).map(({ report, address }) => {
      const { engine } = report;
      const where = address!.socket ?? address!.shown;
      const unit = UNITS[engine];
      return {
        severity: "error",
        subject: `${engine} at ${where}`,
        evidence:
          address!.socket === null
            ? `connections to port ${address!.port} of ${address!.host} are refused: nothing listens there`
            : `nothing listens on the socket ${address!.socket}`,
        cause: `${TITLES[engine]} does not run, or runs on another ${isIP(address!.host) ? "address or " : ""}port`,
        remedies: [],
        advice: `on that host: systemctl status ${unit}; journalctl -u ${unit} -n 50 says why it ended; systemctl start ${unit}. If it runs elsewhere, correct ${VARIABLES[engine]}`,
      };
    });
  },
};
