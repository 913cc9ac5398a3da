import { INDEX_VERSION } from "../../memory/analyze.ts";
import { issueOf, type Prepared } from "../../memory/model.ts";
import type { Params, Run } from "./connect.ts";
import { isFix, type MemoryPlan, type PlannedRecord } from "./memory-plan.ts";

// a heartbeat of the guides' scripts, which take no lock, may have moved last_seen since it was read
const AGENTS = `UNWIND $rows AS row MERGE (a:Agent {name: row.name})
SET a.server = row.server, a.status = row.status, a.updated_at = row.updatedAt,
  a.last_seen = CASE WHEN a.last_seen > row.lastSeen THEN a.last_seen ELSE row.lastSeen END`;

const CREATED = "UNWIND $rows AS row MERGE (m:Memory {id: row.id}) SET m += row";

const EVENTS = `UNWIND $rows AS row MATCH (m:Memory {id: row.record})
MERGE (e:Event {id: row.event.id}) SET e += row.event CREATE (e)-[:OF]->(m)`;

// an event of a visible issue is a Fix, as the guide's `remember` makes one
const FIXES = `UNWIND $rows AS row MATCH (m:Memory {id: row.record})
MERGE (e:Event {id: row.event.id}) SET e:Fix, e += row.event, e.issue = row.issue, e.solution = m.content
MERGE (i:Issue {key: row.issue}) CREATE (e)-[:OF]->(m), (e)-[:RESOLVES]->(i)
WITH e, row WHERE row.event.agent IS NOT NULL
MATCH (a:Agent {name: row.event.agent}) CREATE (e)-[:APPLIED_BY]->(a)`;

const SHOWN = `UNWIND $rows AS row MATCH (m:Memory {id: row.id})
SET m += row.index REMOVE m.deleted_at`;

const SHOWN_FIXES = `UNWIND $rows AS row MATCH (m:Memory {id: row.id})<-[:OF]-(e:Event)
SET e:Fix, e.issue = row.issue, e.solution = m.content
MERGE (i:Issue {key: row.issue}) MERGE (e)-[:RESOLVES]->(i)
WITH e WHERE e.agent IS NOT NULL
MATCH (a:Agent {name: e.agent}) MERGE (e)-[:APPLIED_BY]->(a)`;

const HIDDEN = `UNWIND $rows AS row MATCH (m:Memory {id: row.id})
SET m.deleted_at = row.deletedAt REMOVE m.tokens`;

const HIDDEN_FIXES = `UNWIND $rows AS row MATCH (m:Memory {id: row.id})<-[:OF]-(e:Fix)
REMOVE e:Fix, e.issue, e.solution
WITH e MATCH (e)-[link:RESOLVES|APPLIED_BY]->() DELETE link`;

const ORPHANS = `UNWIND $rows AS row MATCH (i:Issue {key: row.issue})
WHERE NOT EXISTS { (i)<-[:RESOLVES]-() } WITH DISTINCT i DETACH DELETE i`;

const TERMS = `UNWIND range(0, size($words) - 1) AS i
MERGE (t:Term {w: $words[i]}) ON CREATE SET t.df = $changes[i] ON MATCH SET t.df = t.df + $changes[i]`;

const DROPPED_TERMS = "UNWIND $words AS w MATCH (t:Term {w: w}) WHERE t.df <= 0 DELETE t";

// the version is that of the oldest entry: an empty index takes that of the first one; without it (schema v1.0.0) it is 1
const STATISTICS = `MATCH (s:Stat {id: 'memory'})
SET s.index_version = CASE WHEN s.documents = 0 THEN $version ELSE coalesce(s.index_version, 1) END
SET s.documents = s.documents + $documents, s.title_length = s.title_length + $titleLength,
  s.body_length = s.body_length + $bodyLength`;

/**
 * Writes a plan inside the caller's transaction. The queries go out together; the first error fails all of
 * them.
 */
export async function flushPlan(run: Run, plan: MemoryPlan): Promise<void> {
  const records = [...plan.records.values()].filter((record) => record.touched).sort(byId);
  const stored = records.filter((record) => !record.created);
  const shown = new Set(stored.filter((record) => !record.wasVisible && record.deletedAt === null));
  const hidden = stored.filter((record) => record.deletedAt !== null);
  const gone = hidden.filter((record) => record.wasVisible && issueOf(record.key) !== null).map(issueRow);
  // a record that comes back makes Fix nodes of all its events, so its new ones are plain first
  const fixed = records.filter((record) => isFix(record) && !shown.has(record));
  const plain = records.filter((record) => !isFix(record) || shown.has(record));
  const sent: Promise<unknown>[] = [];
  const send = (query: string, rows: Params[]) => {
    if (rows.length > 0) sent.push(run(query, { rows }));
  };
  // agents and records before the fixes that are tied to them
  send(AGENTS, agentRows(plan));
  send(CREATED, records.filter((record) => record.created).map(memoryRow));
  send(EVENTS, plain.flatMap(eventRows));
  send(FIXES, fixed.flatMap(eventRows));
  send(SHOWN, [...shown].map(shownRow));
  send(SHOWN_FIXES, [...shown].filter(isFix).map(issueRow));
  send(HIDDEN, hidden.map(hiddenRow));
  send(HIDDEN_FIXES, gone);
  send(ORPHANS, gone);
  sent.push(...sendTerms(run, plan), ...sendStatistics(run, plan));
  await Promise.all(sent);
}

function byId(a: PlannedRecord, b: PlannedRecord): number {
  return a.id < b.id ? -1 : 1;
}

function agentRows({ agents }: MemoryPlan): Params[] {
  return [...agents]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { server, status, lastSeen, updatedAt }]) => ({
      name,
      server,
      status,
      lastSeen: BigInt(lastSeen),
      updatedAt: BigInt(updatedAt),
    }));
}

/** Properties of a new Memory node; null ones are simply not there. */
function memoryRow({ created, prepared, deletedAt }: PlannedRecord): Params {
  const isVisible = deletedAt === null;
  return {
    ...created!,
    folded_key: prepared!.foldedKey,
    ...indexProperties(prepared!, isVisible),
    deleted_at: isVisible ? null : BigInt(deletedAt),
  };
}

/**
 * The title's tokens three times: a word of the issue counts as three (two boosted fields rank differently). Shapes come last.
 */
export function indexProperties(
  { title, body, shape, titleLength, bodyLength }: Prepared,
  isVisible: boolean,
): Params {
  return {
    tokens: isVisible ? [title, title, title, body, shape].filter((text) => text !== "").join(" ") : null,
    title_tokens: title,
    body_tokens: body,
    shape_tokens: shape,
    index_version: BigInt(INDEX_VERSION),
    title_length: BigInt(titleLength),
    body_length: BigInt(bodyLength),
  };
}

function eventRows({ id, key, newEvents }: PlannedRecord): Params[] {
  const issue = issueOf(key);
  return newEvents.map(({ event, order, digest }) => {
    const { at, metadata, ...rest } = event;
    const times = { ts: BigInt(at), recorded_at: BigInt(order) };
    return { record: id, issue, event: { ...rest, metadata: JSON.stringify(metadata), ...times, digest } };
  });
}

function shownRow({ id, prepared }: PlannedRecord): Params {
  return { id, index: indexProperties(prepared!, true) };
}

function hiddenRow({ id, deletedAt }: PlannedRecord): Params {
  return { id, deletedAt: BigInt(deletedAt!) };
}

function issueRow({ id, key }: PlannedRecord): Params {
  return { id, issue: issueOf(key) };
}

/** Two lists of one length: half the cost of a list of maps, and terms are most of a batch's rows. */
export function sendTerms(run: Run, { frequencies }: Pick<MemoryPlan, "frequencies">): Promise<unknown>[] {
  const terms = [...frequencies].filter(([, change]) => change !== 0).sort(([a], [b]) => (a < b ? -1 : 1));
  if (terms.length === 0) return [];
  const words = terms.map(([word]) => word);
  const sent = [run(TERMS, { words, changes: terms.map(([, change]) => BigInt(change)) })];
  const reduced = terms.filter(([, change]) => change < 0).map(([word]) => word);
  if (reduced.length > 0) sent.push(run(DROPPED_TERMS, { words: reduced }));
  return sent;
}

export function sendStatistics(
  run: Run,
  { documents, titleLength, bodyLength }: Pick<MemoryPlan, "documents" | "titleLength" | "bodyLength">,
): Promise<unknown>[] {
  if (documents === 0 && titleLength === 0 && bodyLength === 0) return [];
  const changes = { documents, titleLength, bodyLength, version: INDEX_VERSION };
  const params = Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, BigInt(value)]));
  return [run(STATISTICS, params)];
}
