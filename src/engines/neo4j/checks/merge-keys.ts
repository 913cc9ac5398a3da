/** The keys that opsctl's own schema MERGEs on: where their constraints are missing. */
import type { Call } from "../../../call.ts";
import { shippedMigrations } from "../../../migrate/files.ts";
import { setsOf } from "../../../migrate/sets.ts";
import { partsOf } from "../cypher-kind.ts";
import { quoted } from "../migration-schema.ts";
import { told } from "../server-facts.ts";
import { splitCypher } from "../statements.ts";
import type { Neo4jScope } from "./common.ts";

export interface MergeKey {
  set: string;
  label: string;
  property: string;
  /** The statement of the shipped file. */
  create: string;
}

const APPLIED = "MATCH (m:opsctl_migrations) WHERE m.state = 'applied' RETURN DISTINCT m.set_name AS name";
const CONSTRAINED = `SHOW CONSTRAINTS YIELD type, entityType, labelsOrTypes, properties
WHERE entityType = 'NODE' AND (type CONTAINS 'UNIQUENESS' OR type CONTAINS 'KEY') AND size(properties) = 1
RETURN labelsOrTypes[0] AS label, properties[0] AS property`;

/** Of the sets that are applied here: an application's own labels of the same names are its own affair. */
export async function unprotectedKeys(call: Call, { connection }: Neo4jScope): Promise<MergeKey[]> {
  const applied = await told<{ name: string }>(call, connection, "history of the schema", APPLIED);
  const sets = setsOf("neo4j").filter(({ set }) => applied.some(({ name }) => name === set));
  const keys = sets.flatMap(({ set }) => keysOf(set));
  if (keys.length === 0) return [];
  const constrained = await told<{ label: string; property: string }>(
    call,
    connection,
    "constraints",
    CONSTRAINED,
  );
  return keys.filter(
    ({ label, property }) => !constrained.some((one) => one.label === label && one.property === property),
  );
}

/** The beginning of a query that groups the nodes of a key by its value, `key`. */
export function byValue({ label, property }: MergeKey): string {
  return `MATCH (n:${quoted(label)}) WHERE n.${quoted(property)} IS NOT NULL WITH n.${quoted(property)} AS key`;
}

/** How many values more than one node has. */
export async function sharedKeys(call: Call, { connection }: Neo4jScope, key: MergeKey): Promise<number> {
  const [row] = await told<{ keys: number }>(
    call,
    connection,
    `keys of :${key.label}`,
    `${byValue(key)}, count(*) AS nodes WHERE nodes > 1 RETURN count(*) AS keys`,
  );
  return row?.keys ?? 0;
}

/** From the files: `CREATE CONSTRAINT name IF NOT EXISTS FOR (a:Agent) REQUIRE a.name IS UNIQUE`. */
function keysOf(set: string): MergeKey[] {
  const { migrations } = shippedMigrations("neo4j", set);
  const statements = migrations.flatMap(({ up }) => splitCypher(up.text));
  return statements.flatMap(({ text }) => {
    const words = partsOf(text).map((part) => part.text);
    const [label] = words.slice(words.indexOf(":") + 1);
    const [property] = words.slice(words.indexOf(".") + 1);
    if (words[1] !== "CONSTRAINT" || label === undefined || property === undefined) return [];
    return [{ set, label, property, create: text.replaceAll(/\s+/g, " ") }];
  });
}
