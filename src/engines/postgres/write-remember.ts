import { hash } from "node:crypto";
import { DEFAULT_AGENT_STATUS, type MemoryRecord, type Outcome } from "../../memory/model.ts";
import type { Session } from "./connect.ts";
import { type CorpusChange, searchLiteral, weightsOf } from "./corpus.ts";
import type { WriteOf } from "./memory-write.ts";

type Remember = WriteOf<"remember">;

/** What is known of a record while a run is worked through: stored before, or earlier in the run. */
interface KnownRecord {
  isSame(record: MemoryRecord): boolean;
  /** Order of the tombstone, null for a visible record. */
  deletedAt: number | null;
}

interface KnownEvent {
  record_id: string;
  digest: string;
}

interface Sighting {
  server: string | null;
  at: number;
}

/** A write whose record becomes visible, with the weights of its tokens. */
interface Indexed {
  write: Remember;
  weights: Map<string, number>;
}

/** What a run will write. */
interface Plan {
  inserted: Indexed[];
  /** Forgotten records that come back. */
  revived: Indexed[];
  events: Remember[];
  agents: Map<string, Sighting>;
}

/** Decides write by write, in their order, from what two queries tell; then writes a table at a time. */
export async function applyRemembers(
  session: Session,
  writes: readonly Remember[],
  corpus: CorpusChange,
): Promise<Outcome[]> {
  const events = await knownEvents(session, writes);
  const records = await knownRecords(session, writes);
  const plan: Plan = { inserted: [], revived: [], events: [], agents: new Map() };
  const outcomes = writes.map((write) => decide(write, events, records, plan));
  const inserting = insertRecords(session, plan.inserted);
  // counted while the server is busy with its indexes
  for (const { write, weights } of [...plan.inserted, ...plan.revived]) {
    corpus.count(weights.keys(), write.prepared, 1);
  }
  await inserting;
  await reviveRecords(session, plan.revived);
  await insertEvents(session, plan.events);
  await seeAgents(session, plan.agents);
  return outcomes;
}

function decide(
  write: Remember,
  events: Map<string, KnownEvent>,
  records: Map<string, KnownRecord>,
  plan: Plan,
): Outcome {
  const { record, event, digest } = write;
  const known = events.get(event.id);
  if (known) return known.digest === digest && known.record_id === record.id ? "duplicate" : "conflict";
  const stored = records.get(record.id);
  if (stored && !stored.isSame(record)) return "conflict";
  if (!stored) {
    records.set(record.id, { isSame: (other) => isSameText(record, other), deletedAt: null });
    plan.inserted.push({ write, weights: weightsOf(write.prepared) });
  } else if (stored.deletedAt !== null && write.order > stored.deletedAt) {
    stored.deletedAt = null;
    plan.revived.push({ write, weights: weightsOf(write.prepared) });
  }
  events.set(event.id, { record_id: record.id, digest });
  plan.events.push(write);
  if (event.agent !== null) see(plan.agents, event.agent, event);
  return "new";
}

function see(agents: Map<string, Sighting>, name: string, { server, at }: Sighting): void {
  const seen = agents.get(name);
  if (seen) seen.at = Math.max(seen.at, at);
  else agents.set(name, { server, at });
}

function isSameText(a: MemoryRecord, b: MemoryRecord): boolean {
  return a.key === b.key && a.content === b.content && a.details === b.details;
}

async function knownEvents(session: Session, writes: readonly Remember[]): Promise<Map<string, KnownEvent>> {
  const rows = await session.query<KnownEvent & { id: string }>(
    "SELECT id, record_id, digest FROM memori_events WHERE id = ANY ($1::text[])",
    [writes.map((write) => write.event.id)],
  );
  return new Map(rows.map(({ id, ...event }) => [id, event]));
}

interface StoredRecord {
  id: string;
  key: string;
  content: string;
  details: string | null;
  deleted_at: number | null;
}

/** Texts are compared by their hashes: an import that is run again need not fetch all it has stored. */
async function knownRecords(
  session: Session,
  writes: readonly Remember[],
): Promise<Map<string, KnownRecord>> {
  const rows = await session.query<StoredRecord>(
    `SELECT id, key, deleted_at, encode(sha256(convert_to(content, 'UTF8')), 'hex') AS content,
       encode(sha256(convert_to(details, 'UTF8')), 'hex') AS details
     FROM memori_metadata WHERE id = ANY ($1::text[])`,
    [[...new Set(writes.map((write) => write.record.id))]],
  );
  return new Map(rows.map((row) => [row.id, toKnown(row)]));
}

function toKnown({ key, content, details, deleted_at }: StoredRecord): KnownRecord {
  return {
    isSame: (record) =>
      record.key === key &&
      hash("sha256", record.content, "hex") === content &&
      (record.details === null ? null : hash("sha256", record.details, "hex")) === details,
    deletedAt: deleted_at,
  };
}

async function insertRecords(session: Session, records: readonly Indexed[]): Promise<void> {
  if (records.length === 0) return;
  await session.query(
    `INSERT INTO memori_metadata (id, namespace, key, folded_key, content, details, title_tokens, body_tokens,
       search, title_length, body_length)
     SELECT id, namespace, key, folded_key, content, details, title, body, search::tsvector, title_length, body_length
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
       $9::text[], $10::bigint[], $11::bigint[])
       AS new (id, namespace, key, folded_key, content, details, title, body, search, title_length, body_length)`,
    [
      records.map(({ write }) => write.record.id),
      records.map(({ write }) => write.record.namespace),
      records.map(({ write }) => write.record.key),
      records.map(({ write }) => write.prepared.foldedKey),
      records.map(({ write }) => write.record.content),
      records.map(({ write }) => write.record.details),
      records.map(({ write }) => write.prepared.title),
      records.map(({ write }) => write.prepared.body),
      records.map(({ weights }) => searchLiteral(weights)),
      records.map(({ write }) => write.prepared.titleLength),
      records.map(({ write }) => write.prepared.bodyLength),
    ],
  );
}

/** The tokens are written anew: they are what the frequencies just counted, also when the analyzer has changed since. */
async function reviveRecords(session: Session, records: readonly Indexed[]): Promise<void> {
  if (records.length === 0) return;
  await session.query(
    `UPDATE memori_metadata m SET deleted_at = NULL, folded_key = back.folded_key, title_tokens = back.title,
       body_tokens = back.body, search = back.search::tsvector, title_length = back.title_length,
       body_length = back.body_length
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
       AS back (id, folded_key, title, body, search, title_length, body_length)
     WHERE m.id = back.id`,
    [
      records.map(({ write }) => write.record.id),
      records.map(({ write }) => write.prepared.foldedKey),
      records.map(({ write }) => write.prepared.title),
      records.map(({ write }) => write.prepared.body),
      records.map(({ weights }) => searchLiteral(weights)),
      records.map(({ write }) => write.prepared.titleLength),
      records.map(({ write }) => write.prepared.bodyLength),
    ],
  );
}

async function insertEvents(session: Session, writes: readonly Remember[]): Promise<void> {
  if (writes.length === 0) return;
  await session.query(
    `INSERT INTO memori_events (id, record_id, agent, server, success, tags, metadata, at, recorded_at, digest)
     SELECT id, record_id, agent, server, success, tags::jsonb, metadata::json, at, recorded_at, digest
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::bigint[],
       $9::bigint[], $10::text[])
       AS new (id, record_id, agent, server, success, tags, metadata, at, recorded_at, digest)`,
    [
      writes.map(({ event }) => event.id),
      writes.map(({ record }) => record.id),
      writes.map(({ event }) => event.agent),
      writes.map(({ event }) => event.server),
      writes.map(({ event }) => event.success),
      writes.map(({ event }) => JSON.stringify(event.tags)),
      writes.map(({ event }) => JSON.stringify(event.metadata)),
      writes.map(({ event }) => event.at),
      writes.map(({ order }) => order),
      writes.map(({ digest }) => digest),
    ],
  );
}

/** Unknown agents are created, with a time of their last change that any `agent` write beats; known ones were seen. */
async function seeAgents(session: Session, agents: Map<string, Sighting>): Promise<void> {
  if (agents.size === 0) return;
  const seen = [...agents].sort(([a], [b]) => (a < b ? -1 : 1));
  await session.query(
    `INSERT INTO memori_agents AS a (name, server, status, last_seen, updated_at)
     SELECT name, server, $4, at, 0 FROM unnest($1::text[], $2::text[], $3::bigint[]) AS seen (name, server, at)
     ON CONFLICT (name) DO UPDATE SET last_seen = excluded.last_seen WHERE a.last_seen < excluded.last_seen`,
    [
      seen.map(([name]) => name),
      seen.map(([, { server }]) => server),
      seen.map(([, { at }]) => at),
      DEFAULT_AGENT_STATUS,
    ],
  );
}
