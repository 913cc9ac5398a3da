import type { Call } from "../../call.ts";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import { DEFAULT_AGENT_STATUS, type Outcome } from "../../memory/model.ts";
import type { PreparedWrite } from "../../memory/port.ts";
import type { Neo4jConnection, Run } from "./connect.ts";
import { newerIndex, noSchema } from "./errors.ts";
import { flushPlan } from "./memory-flush.ts";
import { type Known, type KnownAgent, type KnownRecord, MemoryPlan } from "./memory-plan.ts";

/**
 * Takes the write lock of the one statistics node: writers queue here. A SET takes it even when the value
 * stays; the value must be a constant, because Cypher reads the right-hand side before it waits (`SET
 * s.documents = s.documents` put a stale sum back).
 */
export const LOCK = "MATCH (s:Stat {id: 'memory'}) SET s.id = 'memory' RETURN s.index_version AS version";

/** Null in a database of the schema v1.0.0: its entries are of version 1. */
export interface Lock {
  version: number | null;
}

/** @throws OpsError `failed` when a newer program made the index: this one would misread it */
export function refuseNewerIndex({ place }: Neo4jConnection, version: number | null): void {
  if (version !== null && version > INDEX_VERSION) throw newerIndex(place, version, INDEX_VERSION);
}

const RECORDS = `UNWIND $ids AS id MATCH (m:Memory {id: id})
RETURN m.id AS id, m.key AS key, m.deleted_at AS deletedAt`;

const FORGOTTEN = `UNWIND $ids AS id MATCH (m:Memory {id: id})<-[:OF]-(e:Event)
RETURN m.id AS id, m.title_tokens AS title, m.body_tokens AS body, coalesce(m.shape_tokens, '') AS shape,
  max(e.recorded_at) AS lastOrder`;

const EVENTS = `UNWIND $ids AS id MATCH (e:Event {id: id})-[:OF]->(m:Memory)
RETURN e.id AS id, e.digest AS digest, m.id AS recordId`;

// agents that the guides' scripts made have no updated_at, and perhaps not the rest
const AGENTS = `UNWIND $names AS name MATCH (a:Agent {name: name})
RETURN a.name AS name, a.server AS server, coalesce(a.status, $status) AS status,
  toInteger(coalesce(a.last_seen, 0)) AS lastSeen, coalesce(a.updated_at, 0) AS updatedAt`;

const MISMATCHES = `UNWIND $rows AS row MATCH (m:Memory {id: row.id})
WHERE NOT (m.key = row.key AND m.content = row.content
  AND coalesce(m.details = row.details, m.details IS NULL AND row.details IS NULL))
RETURN row.position AS position`;

/**
 * Applies a batch in one transaction: lock, read what it touches, decide in memory, write. All writers take
 * the same lock first, so outcomes and sums are exact and two of them cannot end in a deadlock.
 * @throws OpsError `failed` when the database was never initialised or a newer program made its index
 */
export function applyWrites(
  call: Call,
  connection: Neo4jConnection,
  writes: readonly PreparedWrite[],
): Promise<Outcome[]> {
  if (writes.length === 0) return Promise.resolve([]);
  return connection.write(call, async (run) => {
    // sent together, answered in order
    const [[lock], known] = await Promise.all([run<Lock>(LOCK), readKnown(run, writes)]);
    if (!lock) throw noSchema(connection.place);
    refuseNewerIndex(connection, lock.version);
    const mismatches = await readMismatches(run, writes, known);
    const plan = new MemoryPlan(writes, { ...known, mismatches });
    await flushPlan(run, plan);
    return plan.outcomes;
  });
}

async function readKnown(
  run: Run,
  writes: readonly PreparedWrite[],
): Promise<Omit<Known, "mismatches"> & { records: Map<string, KnownRecord> }> {
  const ids = new Set<string>();
  const forgotten = new Set<string>();
  const eventIds = new Set<string>();
  const names = new Set<string>();
  for (const write of writes) {
    if (write.kind === "agent") names.add(write.name);
    else if (write.kind === "forget") forgotten.add(write.recordId);
    else {
      ids.add(write.record.id);
      eventIds.add(write.event.id);
      if (write.event.agent !== null) names.add(write.event.agent);
    }
  }
  const [records, details, events, agents] = await Promise.all([
    rows<Pick<KnownRecord, "key" | "deletedAt"> & { id: string }>(
      run,
      RECORDS,
      "ids",
      new Set([...ids, ...forgotten]),
    ),
    rows<Omit<KnownRecord, "key" | "deletedAt"> & { id: string }>(run, FORGOTTEN, "ids", forgotten),
    rows<{ id: string; digest: string; recordId: string }>(run, EVENTS, "ids", eventIds),
    rows<{ name: string } & KnownAgent>(run, AGENTS, "names", names),
  ]);
  const byId = new Map(details.map((row) => [row.id, row]));
  return {
    records: new Map(
      records.map((row) => [
        row.id,
        { title: "", body: "", shape: "", lastOrder: 0, ...row, ...byId.get(row.id) },
      ]),
    ),
    events: new Map(events.map((row) => [row.id, row])),
    agents: new Map(agents.map(({ name, ...agent }) => [name, agent])),
  };
}

async function rows<T>(
  run: Run,
  query: string,
  parameter: string,
  values: ReadonlySet<string>,
): Promise<T[]> {
  if (values.size === 0) return [];
  // ordered, so that locks are taken and pages read in one order
  return run<T>(query, { [parameter]: [...values].sort(), status: DEFAULT_AGENT_STATUS });
}

/** Texts are compared by the server, and only those whose event is new: a replay sends no text twice. */
async function readMismatches(
  run: Run,
  writes: readonly PreparedWrite[],
  { records, events }: Omit<Known, "mismatches">,
): Promise<Set<number>> {
  const compared = writes.flatMap((write, position) => {
    if (write.kind !== "remember" || events.has(write.event.id) || !records.has(write.record.id)) return [];
    const { id, key, content, details } = write.record;
    return [{ position: BigInt(position), id, key, content, details }];
  });
  if (compared.length === 0) return new Set();
  const found = await run<{ position: number }>(MISMATCHES, { rows: compared });
  return new Set(found.map(({ position }) => position));
}
