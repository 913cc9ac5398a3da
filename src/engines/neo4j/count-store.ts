/** `db.stats.retrieve('GRAPH COUNTS')`: all counts and the sizes of all indexes in one query, where it is cheap. */
import type { Call } from "../../call.ts";
import { Unknowable } from "../../health/doctor/check.ts";
import type { Neo4jConnection } from "./connect.ts";
import { told, toldOne } from "./server-facts.ts";

/**
 * The procedure looks up every label with every type of relationship: 10,000 × 500 took 12 s, and its answer holds what is not asked for.
 * Up to this product it takes a second.
 */
const MAX_PAIRS = 300_000;

/** All that there ever were: a database forgets none, and the procedure looks up those too. */
const NAMES = `CALL db.stats.retrieve('TOKENS') YIELD data
RETURN size(data.labels) AS labels, size(data.relationshipTypes) AS types`;

interface Names {
  labels: number;
  types: number;
}

/** How many names the database knows, in use or not. @throws Unknowable, OpsError as `told` */
export async function namesOf(call: Call, connection: Neo4jConnection): Promise<Names> {
  return toldOne<Names>(call, connection, "labels", NAMES);
}

export function isCheap({ labels, types }: Names): boolean {
  return labels * Math.max(1, types) <= MAX_PAIRS;
}

/** What an index covers: of each kind there is one at most. */
export interface Described {
  type: string;
  covered: string[];
  properties: string[];
}

interface IndexSize extends Described {
  /** Entries, when its statistics were taken. */
  size: number;
  /** Changes since then. */
  updates: number;
}

const SIZES = `CALL db.stats.retrieve('GRAPH COUNTS') YIELD data UNWIND data.indexes AS entry
RETURN entry.indexType AS type, coalesce(entry.labels, entry.relationshipTypes, []) AS covered,
  entry.properties AS properties, entry.totalSize AS size, entry.updatesSinceEstimation AS updates`;

/**
 * Sizes of indexes by `keyOf` what they cover: the list that has them has no names.
 * @throws Unknowable where there are too many names or the user may not ask; OpsError as `told`
 */
export async function indexSizes(call: Call, connection: Neo4jConnection): Promise<Map<string, IndexSize>> {
  const names = await namesOf(call, connection);
  if (!isCheap(names)) {
    throw new Unknowable(
      `sizes of indexes: ${names.labels} labels with ${names.types} types of relationships take too long to ask`,
    );
  }
  const rows = await told<IndexSize>(call, connection, "sizes of indexes", SIZES);
  return new Map(rows.map((row) => [keyOf(row), row]));
}

export function keyOf({ type, covered, properties }: Described): string {
  return JSON.stringify([type, [...covered].sort(), properties]);
}
