/** What a database holds, in numbers, and how all of it goes. */
import type { Call } from "../../call.ts";
import type { Neo4jConnection } from "./connect.ts";
import { quoted } from "./migration-schema.ts";
import type { Patience } from "./patience.ts";
import { MARKER_LABEL } from "./restore-marker.ts";

export interface Content {
  nodes: number;
  relationships: number;
  constraints: number;
  indexes: number;
}

/** Labels of what opsctl keeps there for a moment: no data, in no export, and not restored. */
const MOMENTARY = `n:${MARKER_LABEL} OR n:opsctl_lock OR n:opsctl_lease`;
const NODES = `RETURN COUNT { (n) } - COUNT { MATCH (n) WHERE ${MOMENTARY} } AS count`;
const CONSTRAINTS = "SHOW CONSTRAINTS YIELD name";
/** Without those of constraints and the two lookups that every database has. */
const INDEXES = `SHOW INDEXES YIELD name, type, owningConstraint WHERE owningConstraint IS NULL AND type <> 'LOOKUP'
RETURN name`;
/** Relationships first: the transaction that deletes a node with a million of them would not fit the server's memory. */
const WIPE = [
  "MATCH ()-[r]->() CALL (r) { DELETE r } IN TRANSACTIONS OF 10000 ROWS",
  `MATCH (n) WHERE NOT n:${MARKER_LABEL} CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS`,
];

export async function contentOf(call: Call, connection: Neo4jConnection): Promise<Content> {
  const count = async (query: string) => (await connection.read<{ count: number }>(call, query))[0]!.count;
  return {
    nodes: await count(NODES),
    relationships: await count("MATCH ()-[r]->() RETURN count(r) AS count"),
    constraints: (await connection.read(call, CONSTRAINTS)).length,
    indexes: (await connection.read(call, INDEXES)).length,
  };
}

export function isEmpty(content: Content): boolean {
  return Object.values(content).every((count) => count === 0);
}

/** In words: `1,204 nodes, 3,300 relationships, 2 constraints, 1 index`. */
export function described(content: Content): string {
  if (isEmpty(content)) return "nothing";
  return (Object.entries(content) as [keyof Content, number][])
    .filter(([name, count]) => count > 0 || name === "nodes" || name === "relationships")
    .map(([name, count]) => `${count.toLocaleString("en")} ${count === 1 ? singular(name) : name}`)
    .join(", ");
}

function singular(name: keyof Content): string {
  return name === "indexes" ? "index" : name.slice(0, -1);
}

/** Removes everything but the marker, in transactions of a size; killed in the middle, it goes on when it is called again. */
export async function wipe(call: Call, connection: Neo4jConnection, patience: Patience): Promise<void> {
  for (const [kind, listing] of [
    ["CONSTRAINT", CONSTRAINTS],
    ["INDEX", INDEXES],
  ] as const) {
    for (const { name } of await connection.read<{ name: string }>(call, listing)) {
      await connection.command(call, `DROP ${kind} ${quoted(name)} IF EXISTS`, patience);
    }
  }
  for (const statement of WIPE) await connection.command(call, statement, patience);
}
