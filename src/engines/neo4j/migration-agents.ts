import type { Call } from "../../call.ts";
import type { Change } from "../../migrate/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { failure } from "./errors.ts";
import { quoted } from "./migration-schema.ts";

const CONSTRAINT = "CREATE CONSTRAINT agent_name IF NOT EXISTS FOR (a:Agent) REQUIRE a.name IS UNIQUE";

// a constraint owns an index of its own name
const ON_AGENT_NAME = `SHOW INDEXES YIELD name, type, labelsOrTypes, properties, owningConstraint
WHERE type = 'RANGE' AND labelsOrTypes = ['Agent'] AND properties = ['name']
RETURN name, owningConstraint IS NOT NULL AS owned`;

const DUPLICATES = `MATCH (a:Agent) WHERE a.name IS NOT NULL
WITH a.name AS name, count(*) AS times WHERE times > 1
RETURN name, times ORDER BY times DESC, name LIMIT 6`;

/** Names shown of those that stand in the way. */
const SHOWN_NAMES = 5;

/**
 * Makes room for the constraint `agent_name`: the guides make an index of that name, and a constraint
 * `agent_name_unique`; Neo4j refuses a second index or constraint on one property. What was there is replaced
 * at once, because the file that makes the constraint may have been applied long ago.
 * @throws OpsError `failed` when two agents have one name
 */
export async function replaceAgentIndex(
  call: Call,
  connection: Neo4jConnection,
  dryRun: boolean,
): Promise<Change[]> {
  const found = await connection.read<{ name: string; owned: boolean }>(call, ON_AGENT_NAME);
  if (found.some(({ name, owned }) => owned && name === "agent_name")) return [];
  // a constraint of any name has kept them apart
  if (!found.some(({ owned }) => owned)) await refuseDuplicates(call, connection);
  if (!dryRun) {
    for (const { name, owned } of found) {
      await connection.command(call, `DROP ${owned ? "CONSTRAINT" : "INDEX"} ${quoted(name)} IF EXISTS`);
    }
    if (found.length > 0) await connection.command(call, CONSTRAINT);
  }
  return found.map(({ name, owned }) => ({
    name: `${owned ? "constraint" : "index"} ${name}`,
    before: `${owned ? "uniqueness constraint" : "RANGE INDEX"} on Agent.name`,
    after: "constraint agent_name",
  }));
}

async function refuseDuplicates(call: Call, connection: Neo4jConnection): Promise<void> {
  const duplicates = await connection.read<{ name: string; times: number }>(call, DUPLICATES);
  if (duplicates.length === 0) return;
  const shown = duplicates
    .slice(0, SHOWN_NAMES)
    .map(({ name, times }) => `${JSON.stringify(name)} (${times} times)`);
  const more = duplicates.length > SHOWN_NAMES ? " and more" : "";
  throw failure(
    "failed",
    connection.place,
    `has several Agent nodes of one name: ${shown.join(", ")}${more}; the name must be unique`,
    "keep one node of each name and DETACH DELETE the others, then run opsctl init neo4j again",
  );
}
