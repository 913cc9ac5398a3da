import type { EngineName } from "../../../errors.ts";
import type { Check } from "../check.ts";
import { hindered } from "../reach.ts";
import type { StackScope } from "../scope.ts";

/** What sets a new password, and what else refuses. */
const ADVICE: Readonly<Record<EngineName, string>> = {
  neo4j:
    "check NEO4J_USERNAME and NEO4J_PASSWORD (opsctl env shows their sources); an administrator sets a new one with ALTER USER name SET PASSWORD '…' CHANGE NOT REQUIRED in cypher-shell -d system; after many failed attempts Neo4j refuses everybody for 5 s",
  postgres:
    "check user and password in DATABASE_URL (opsctl env shows their sources); an administrator sets a new one with ALTER ROLE name PASSWORD '…' or \\password name in psql; pg_hba.conf must have a line for this user, database and host (SELECT * FROM pg_hba_file_rules), read again by SELECT pg_reload_conf()",
  redis:
    "check REDIS_PASSWORD or the user and password in REDIS_URL (opsctl env shows their sources); on the server: ACL LIST shows the users, ACL SETUSER name on >… sets a password, requirepass in redis.conf is that of the user default",
  sqlite: "check the modes of the file and its folder",
};

export const connectionAuthentication: Check<StackScope> = {
  id: "connection-authentication",
  area: "stack",
  title: "a server refuses user or password",
  looks: "the answer of each configured server to user and password",
  async run(_call, scope) {
    return (await hindered(scope, "authentication")).map(({ report, target, message }) => ({
      severity: "error",
      subject: `${report.engine} at ${target.shown}`,
      evidence: message,
      cause: "the password was changed on one side only, or the user may not do this from here",
      remedies: [],
      advice: ADVICE[report.engine],
    }));
  },
};
