import type { EngineName } from "../../../errors.ts";
import type { Check } from "../check.ts";
import { answerOf } from "../programs.ts";
import type { StackScope } from "../scope.ts";
import { versionIn } from "../versions.ts";
import { TITLES } from "../words.ts";

/** A Java program on a busy host takes its time, ms. */
const LIMIT_MS = 8_000;
const PROGRAMS: readonly { name: string; engine: EngineName }[] = [
  { name: "redis-cli", engine: "redis" },
  { name: "redis-server", engine: "redis" },
  { name: "cypher-shell", engine: "neo4j" },
  { name: "neo4j-admin", engine: "neo4j" },
];

export const toolsOlderOther: Check<StackScope> = {
  id: "tools-older-others",
  area: "host",
  title: "programs of Redis or Neo4j are older than the server",
  looks:
    "versions of redis-cli, redis-server, cypher-shell and neo4j-admin, where they are on PATH, against the servers",
  run: async (call, scope) => {
    const found = await Promise.all(
      PROGRAMS.map(async ({ name, engine }) => {
        const server = versionIn(scope.engines.find((one) => one.engine === engine)?.version ?? "");
        if (server.length === 0) return [];
        const answer = await answerOf(call, scope, name, ["--version"], LIMIT_MS);
        const version = "text" in answer ? versionIn(answer.text) : [];
        if (version.length === 0 || version[0]! >= server[0]!) return [];
        return [
          {
            severity: "info" as const,
            subject: name,
            evidence: `it is version ${version.join(".")}, and ${TITLES[engine]} is version ${server.join(".")}`,
            cause:
              name === "redis-server"
                ? "drills load the snapshot with it, and an older one cannot read the file of a newer server"
                : "it may not know what a newer server says or offers",
            remedies: [],
            advice: `install the programs of ${TITLES[engine]} ${server[0]} and put them first on PATH`,
          },
        ];
      }),
    );
    return found.flat();
  },
};
