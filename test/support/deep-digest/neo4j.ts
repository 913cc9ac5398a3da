import neo4j, { type Driver, type Node, type Relationship } from "neo4j-driver";
import type { DeepDigest } from "../deep-digest.ts";
import { digestOf, hashOf, Multiset } from "./multiset.ts";

/** Without the names of the two lookup indexes that each database is made with. */
const SCHEMA = {
  constraints:
    "SHOW CONSTRAINTS YIELD name, type, entityType, labelsOrTypes, properties, ownedIndex, propertyType, options",
  indexes: `SHOW INDEXES YIELD name, type, entityType, labelsOrTypes, properties, state, owningConstraint, indexProvider, options
    RETURN CASE type WHEN 'LOOKUP' THEN null ELSE name END AS name, type, entityType, labelsOrTypes, properties, state, owningConstraint, indexProvider, options`,
};
/** A lock of a running migration is nobody's data. */
const NODES = "MATCH (n) WHERE NOT n:opsctl_lock RETURN n";
const RELATIONSHIPS = "MATCH (a)-[r]->(b) WHERE NOT a:opsctl_lock AND NOT b:opsctl_lock RETURN r";
const MODULUS = 1n << 128n;

/** A node's own hash, and the sum over the relationships that it has. */
interface Seen {
  own: bigint;
  around: bigint;
}

/**
 * Of a graph: nodes with labels and typed properties, relationships with those of their ends, and each node with the relationships that it has,
 * so that equal nodes are told apart by what they are connected to. Holds some 100 bytes a node.
 */
export async function neo4jDigest(server: {
  uri: string;
  username: string;
  password: string;
}): Promise<DeepDigest> {
  const { uri, username, password } = server;
  const driver = neo4j.driver(uri, neo4j.auth.basic(username, password), { useBigInt: true });
  try {
    const digests: Record<string, string> = {};
    for (const [name, query] of Object.entries(SCHEMA)) {
      const rows = await Array.fromAsync(records(driver, query));
      digests[name] = digestOf(rows.map((row) => canonical(row)));
    }
    const nodes = new Map<string, Seen>();
    for await (const row of records(driver, NODES)) {
      const { elementId, labels, properties } = row["n"] as Node<bigint>;
      nodes.set(elementId, { own: hashOf(canonical(labels.toSorted()), canonical(properties)), around: 0n });
    }
    const relationships = new Multiset();
    for await (const row of records(driver, RELATIONSHIPS))
      relationships.add(connect(row["r"] as Relationship<bigint>, nodes));
    digests["relationships"] = String(relationships);
    const connected = new Multiset();
    for (const { own, around } of nodes.values()) connected.add(hashOf(String(own), String(around)));
    digests["nodes"] = String(connected);
    return digests;
  } finally {
    await driver.close();
  }
}

function connect(relationship: Relationship<bigint>, nodes: ReadonlyMap<string, Seen>): bigint {
  const { type, properties, startNodeElementId, endNodeElementId } = relationship;
  const start = nodes.get(startNodeElementId)!;
  const end = nodes.get(endNodeElementId)!;
  const hash = hashOf(type, canonical(properties), String(start.own), String(end.own));
  start.around = (start.around + hashOf("start", String(hash))) % MODULUS;
  end.around = (end.around + hashOf("end", String(hash))) % MODULUS;
  return hash;
}

async function* records(driver: Driver, query: string): AsyncGenerator<Record<string, unknown>> {
  const session = driver.session({ database: "neo4j", defaultAccessMode: "READ" });
  try {
    for await (const record of session.run(query)) yield record.toObject();
  } finally {
    await session.close();
  }
}

/** A value with its type as text: equal for equal values only. Throws for a type that it does not know. */
function canonical(value: unknown): string {
  if (value === null) return "null";
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
  if (value instanceof Int8Array) return `bytes ${Buffer.from(value).toString("hex")}`;
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object")
    throw new Error(`a value of a type that this digest does not know: ${typeof value}`);
  const name = value.constructor.name;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  const known = fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`);
  return `${name}{${known.toSorted().join()}}`;
}
