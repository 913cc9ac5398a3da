import type { EngineName } from "../../../errors.ts";
import type { Check } from "../check.ts";
import { hindered } from "../reach.ts";
import type { StackScope } from "../scope.ts";
import { TITLES } from "../words.ts";

const ADVICE: Readonly<Record<EngineName, string>> = {
  neo4j:
    "SHOW DATABASES in cypher-shell -d system shows the state and why; START DATABASE name brings one up that was stopped; /var/log/neo4j/neo4j.log and debug.log have the reason",
  postgres:
    "its log (journalctl -u postgresql, or log_directory) has the reason: it may be starting, in recovery, out of connections or out of disk",
  redis:
    "its log (logfile in redis.conf) has the reason: it may be loading, busy with a script, or without its primary",
  sqlite:
    "look at the file, its folder and their modes; a damaged file is restored with opsctl restore latest --only sqlite",
};

export const connectionUnavailable: Check<StackScope> = {
  id: "connection-unavailable",
  area: "stack",
  title: "a server answers, and its database is not available",
  looks: "one real query to each configured server",
  async run(_call, scope) {
    return (await hindered(scope, "unavailable")).map(({ report, target, message }) => ({
      severity: "error",
      subject: `${report.engine} at ${target.shown}`,
      evidence: message,
      cause: `${TITLES[report.engine]} is there and cannot serve: everything that needs it fails`,
      remedies: /has no database "/.test(message)
        ? [{ argv: ["opsctl", "init", report.engine], safe: false }]
        : [],
      advice: ADVICE[report.engine],
    }));
  },
};
