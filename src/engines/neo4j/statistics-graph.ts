/** Counts and indexes of a graph, as its count store and its catalogue know them: nothing is scanned. */
import type { Call } from "../../call.ts";
import type { Neo4jStats } from "../../contract/stats-neo4j.ts";
import { Unknowable } from "../../health/doctor/check.ts";
import type { Neo4jConnection } from "./connect.ts";
import { isCheap, namesOf } from "./count-store.ts";
import { toldOne } from "./server-facts.ts";

interface GraphCounts {
  nodes: number;
  relationships: number;
  /** Of which there are nodes or relationships: a database never forgets a name. */
  labelCount: number | null;
  typeCount: number | null;
  labels: Neo4jStats["labels"];
  types: Neo4jStats["types"];
}

/**
 * Everything that the count store holds, in one query: counting label by label takes 7 ms each, for the plan alone. The names of the
 * relationships' ends are left out.
 */
const COUNTS = `CALL db.stats.retrieve('GRAPH COUNTS') YIELD data
CALL (data) {
  UNWIND data.nodes AS entry WITH entry WHERE entry.label IS NOT NULL AND entry.count > 0
  WITH entry ORDER BY entry.count DESC, entry.label
  RETURN count(*) AS labelCount, collect({label: entry.label, nodes: entry.count})[..$top] AS labels
}
CALL (data) {
  UNWIND data.relationships AS entry WITH entry
  WHERE entry.relationshipType IS NOT NULL AND entry.startLabel IS NULL AND entry.endLabel IS NULL AND entry.count > 0
  WITH entry ORDER BY entry.count DESC, entry.relationshipType
  RETURN count(*) AS typeCount, collect({type: entry.relationshipType, relationships: entry.count})[..$top] AS types
}
RETURN [entry IN data.nodes WHERE entry.label IS NULL][0].count AS nodes,
  [entry IN data.relationships WHERE entry.relationshipType IS NULL][0].count AS relationships,
  labelCount, labels, typeCount, types`;

const TOTALS = "RETURN COUNT { MATCH (n) } AS nodes, COUNT { MATCH ()-[r]->() } AS relationships";
/** Nodes and relationships that are read one by one where the count store cannot be: a second or two. */
const MAX_SCANNED = 1_000_000;
const SCANNED = `CALL () {
  MATCH (n) UNWIND labels(n) AS label WITH label, count(*) AS nodes ORDER BY nodes DESC, label
  RETURN count(*) AS labelCount, collect({label: label, nodes: nodes})[..$top] AS labels
}
CALL () {
  MATCH ()-[r]->() WITH type(r) AS type, count(*) AS relationships ORDER BY relationships DESC, type
  RETURN count(*) AS typeCount, collect({type: type, relationships: relationships})[..$top] AS types
}
RETURN labelCount, labels, typeCount, types`;

/**
 * @param onUnknown told why there are totals only
 * @throws Unknowable, OpsError as `told`
 */
export async function graphCounts(
  call: Call,
  connection: Neo4jConnection,
  top: number,
  onUnknown: (why: Unknowable) => void,
): Promise<GraphCounts> {
  const params = { top: BigInt(top) };
  try {
    const names = await namesOf(call, connection);
    if (isCheap(names)) return await toldOne<GraphCounts>(call, connection, "counts", COUNTS, params);
  } catch (error) {
    // the procedure is for administrators: what follows is for everybody
    if (!(error instanceof Unknowable)) throw error;
  }
  type Totals = Pick<GraphCounts, "nodes" | "relationships">;
  const totals = await toldOne<Totals>(call, connection, "counts", TOTALS);
  if (totals.nodes + totals.relationships <= MAX_SCANNED) {
    type Scanned = Omit<GraphCounts, keyof Totals>;
    return { ...totals, ...(await toldOne<Scanned>(call, connection, "counts", SCANNED, params)) };
  }
  const what = "the procedure db.stats.retrieve is refused or too slow here, and the graph too large to scan";
  onUnknown(new Unknowable(`counts by label and type: ${what}`));
  return { ...totals, labelCount: null, labels: [], typeCount: null, types: [] };
}

export interface IndexRow {
  name: string;
  type: string;
  state: string;
  percent: number;
  /** Null: of all labels or types. */
  labels: string[] | null;
  properties: string[] | null;
  constraint: string | null;
  reads: number | null;
  /** Epoch ms. */
  lastRead: number | null;
}

/** Those that are not online first, then by use. */
export const INDEXES = `SHOW INDEXES YIELD name, type, state, populationPercent, labelsOrTypes, properties, owningConstraint,
  readCount, lastRead
RETURN name, type, state, populationPercent AS percent, labelsOrTypes AS labels, properties, owningConstraint AS constraint,
  readCount AS reads, lastRead.epochMillis AS lastRead
ORDER BY state = 'ONLINE', coalesce(readCount, 0) DESC, name`;

export function indexOf(row: IndexRow): Neo4jStats["indexes"][number] {
  const { name, type, state, percent, labels, properties, constraint, reads, lastRead } = row;
  return {
    name,
    type,
    state,
    population_percent: percent,
    labels: labels ?? [],
    properties: properties ?? [],
    constraint,
    read_count: reads,
    last_read: lastRead === null ? null : new Date(lastRead).toISOString(),
  };
}
