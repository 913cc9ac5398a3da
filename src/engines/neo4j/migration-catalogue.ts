/** What the database's catalogue tells: whose the database is, its schema as text, and what a set has made. */
import type { Call } from "../../call.ts";
import { shippedMigrations } from "../../migrate/files.ts";
import { ownedNames } from "../../migrate/sets.ts";
import { verificationQuery } from "../../migrate/verification.ts";
import type { Neo4jConnection } from "./connect.ts";
import { awaitIndexes, indexNames } from "./migration-schema.ts";
import { splitCypher } from "./statements.ts";

const MAX_OCCUPANTS = 5;

/** Labels, also those that only a constraint or an index names. */
const LABELS = "CALL db.labels() YIELD label RETURN label AS name ORDER BY name";
const CONSTRAINTS = `SHOW CONSTRAINTS YIELD name, labelsOrTypes
RETURN name, labelsOrTypes AS on ORDER BY name`;
const UNLABELLED = "MATCH (n) WHERE labels(n) = [] RETURN 1 AS found LIMIT 1";

/** At most five labels and constraints that neither opsctl nor one of its shipped sets made. */
export async function findOccupants(call: Call, connection: Neo4jConnection): Promise<string[]> {
  const owned = new Set(ownedNames("neo4j"));
  const isForeign = (name: string) => !owned.has(name) && !name.startsWith("opsctl_");
  const labels = await connection.read<{ name: string }>(call, LABELS);
  const constraints = await connection.read<{ name: string; on: string[] }>(call, CONSTRAINTS);
  const names = [
    ...labels.filter(({ name }) => isForeign(name)).map(({ name }) => `:${name}`),
    ...constraints.filter(({ on }) => on.some(isForeign)).map(({ name }) => `constraint ${name}`),
  ];
  if (names.length > 0) return names.slice(0, MAX_OCCUPANTS);
  const unlabelled = await connection.read(call, UNLABELLED);
  return unlabelled.length > 0 ? ["nodes without a label"] : [];
}

/** The indexes that every database has, those of constraints, and what opsctl keeps are left out. */
const SCHEMA = [
  `SHOW CONSTRAINTS YIELD createStatement, labelsOrTypes
WHERE none(name IN labelsOrTypes WHERE name STARTS WITH 'opsctl_') RETURN createStatement AS statement`,
  `SHOW INDEXES YIELD createStatement, labelsOrTypes, type, owningConstraint
WHERE type <> 'LOOKUP' AND owningConstraint IS NULL AND none(name IN labelsOrTypes WHERE name STARTS WITH 'opsctl_')
RETURN createStatement AS statement`,
] as const;

/** A script that makes the same constraints and indexes, in the order of their statements. */
export async function dumpSchema(call: Call, connection: Neo4jConnection): Promise<string> {
  const lines = ["// Schema of a Neo4j database: constraints, then indexes."];
  for (const query of SCHEMA) {
    const rows = await connection.read<{ statement: string }>(call, query);
    const statements = rows.map(({ statement }) => `${statement};`).sort();
    if (statements.length > 0) lines.push("", ...statements);
  }
  return `${lines.join("\n")}\n`;
}

/** Waits for the indexes of a shipped set, then counts what it holds. */
export async function verifySet(
  call: Call,
  connection: Neo4jConnection,
  set: string,
): Promise<Record<string, number>> {
  const { migrations } = shippedMigrations("neo4j", set);
  const names = indexNames(migrations.flatMap(({ up }) => splitCypher(up.text)));
  await awaitIndexes(call, connection, (name) => names.includes(name), false);
  const online = "SHOW INDEXES YIELD name, state WHERE state = 'ONLINE' AND name IN $names RETURN name";
  const indexes = (await connection.read(call, online, { names })).length;
  const query = verificationQuery("neo4j", set);
  const [counts] = query === null ? [] : await connection.read<Record<string, number>>(call, query);
  return { ...counts, indexes };
}
