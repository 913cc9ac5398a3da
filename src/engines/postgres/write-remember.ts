import { hash } from "node:crypto";
import type { MemoryRecord, Outcome } from "../../memory/model.ts";
import { type CorpusChange, weightsOf } from "./corpus.ts";
import {
  type Indexed,
  insertEvents,
  insertRecords,
  type Remember,
  reviveRecords,
  type Sighting,
  seeAgents,
} from "./remember-sql.ts";
import type { Session } from "./session.ts";

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
