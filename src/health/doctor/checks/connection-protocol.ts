import type { Check } from "../check.ts";
import { hindered } from "../reach.ts";
import type { StackScope } from "../scope.ts";
import { TITLES, VARIABLES } from "../words.ts";

const SPEAKERS = {
  ...TITLES,
  http: "an HTTP server",
  ssh: "an SSH server",
  silent: "nobody",
  unknown: "a server of another kind",
} as const;

export const connectionProtocol: Check<StackScope> = {
  id: "connection-protocol",
  area: "stack",
  title: "another kind of server answers at the port",
  looks:
    "the answers to greetings of Redis, PostgreSQL, Bolt and HTTP at the port of a server that could not be asked",
  async run(_call, scope) {
    return (await hindered(scope, "protocol")).map(({ report, address, obstacle, message }) => ({
      severity: "error",
      subject: `${report.engine} at ${address!.shown}`,
      evidence: `${SPEAKERS[obstacle.speaks]} answers there, not ${TITLES[report.engine]}; opsctl met: ${message}`,
      cause: `${VARIABLES[report.engine]} names the port of another service`,
      remedies: [],
      advice: `correct host and port in ${VARIABLES[report.engine]}; opsctl env shows where the value comes from`,
    }));
  },
};
