/** What a run of remembered events writes: one statement a table, its columns as arrays. */
import { INDEX_VERSION } from "../../memory/analyze.ts";
import { DEFAULT_AGENT_STATUS, type Prepared } from "../../memory/model.ts";
import { searchLiteral } from "./corpus.ts";
import type { WriteOf } from "./memory-write.ts";
import type { Session } from "./session.ts";

export type Remember = WriteOf<"remember">;

/** A write whose record becomes visible, with the weights of its tokens. */
export interface Indexed {
  write: Remember;
  weights: Map<string, number>;
}

/** When an agent was seen last, and on which server first. */
export interface Sighting {
  server: string | null;
  at: number;
}

export async function insertRecords(session: Session, records: readonly Indexed[]): Promise<void> {
  if (records.length === 0) return;
  await session.query(
    `INSERT INTO memori_metadata (id, namespace, key, folded_key, content, details, title_tokens, body_tokens,
       shape_tokens, search, title_length, body_length, index_version)
     SELECT id, namespace, key, folded_key, content, details, title, body,
       shape, search::tsvector, title_length, body_length, ${INDEX_VERSION}
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
       $8::text[], $9::text[], $10::text[], $11::bigint[], $12::bigint[])
       AS new (id, namespace, key, folded_key, content, details, title, body, shape, search, title_length,
         body_length)`,
    [
      records.map(({ write }) => write.record.id),
      records.map(({ write }) => write.record.namespace),
      records.map(({ write }) => write.record.key),
      records.map(({ write }) => write.prepared.foldedKey),
      records.map(({ write }) => write.record.content),
      records.map(({ write }) => write.record.details),
      records.map(({ write }) => write.prepared.title),
      records.map(({ write }) => write.prepared.body),
      records.map(({ write }) => write.prepared.shape),
      records.map(({ weights }) => searchLiteral(weights)),
      records.map(({ write }) => write.prepared.titleLength),
      records.map(({ write }) => write.prepared.bodyLength),
    ],
  );
}

/** What the index shall hold of a record that is there. */
export interface Entry {
  id: string;
  prepared: Prepared;
  weights: ReadonlyMap<string, number>;
}

/**
 * Brings forgotten records back. The tokens are written anew: they are what the frequencies just counted, also when the analyzer has changed
 * since.
 */
export async function reviveRecords(session: Session, records: readonly Indexed[]): Promise<void> {
  if (records.length === 0) return;
  const entries = records.map(({ write, weights }) => {
    return { id: write.record.id, prepared: write.prepared, weights };
  });
  await indexEntries(session, entries, "true");
}

/**
 * Writes the entries of records `m` for which the condition holds, and makes these visible.
 * @returns their ids
 */
export async function indexEntries(
  session: Session,
  entries: readonly Entry[],
  condition: string,
): Promise<Set<string>> {
  const rows = await session.query<{ id: string }>(
    `UPDATE memori_metadata m SET deleted_at = NULL, folded_key = new.folded_key, title_tokens = new.title,
       body_tokens = new.body, shape_tokens = new.shape, search = new.search::tsvector,
       title_length = new.title_length, body_length = new.body_length, index_version = ${INDEX_VERSION}
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[],
       $8::bigint[]) AS new (id, folded_key, title, body, shape, search, title_length, body_length)
     WHERE m.id = new.id AND ${condition} RETURNING m.id`,
    [
      entries.map(({ id }) => id),
      entries.map(({ prepared }) => prepared.foldedKey),
      entries.map(({ prepared }) => prepared.title),
      entries.map(({ prepared }) => prepared.body),
      entries.map(({ prepared }) => prepared.shape),
      entries.map(({ weights }) => searchLiteral(weights)),
      entries.map(({ prepared }) => prepared.titleLength),
      entries.map(({ prepared }) => prepared.bodyLength),
    ],
  );
  return new Set(rows.map(({ id }) => id));
}

export async function insertEvents(session: Session, writes: readonly Remember[]): Promise<void> {
  if (writes.length === 0) return;
  await session.query(
    `INSERT INTO memori_events (id, record_id, agent, server, success, tags, metadata, at, recorded_at,
       digest)
     SELECT id, record_id, agent, server, success, tags::jsonb, metadata::json, at, recorded_at, digest
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[],
       $8::bigint[], $9::bigint[], $10::text[])
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

/**
 * Unknown agents are created, with a time of their last change that any `agent` write beats; known ones were
 * seen.
 */
export async function seeAgents(session: Session, agents: Map<string, Sighting>): Promise<void> {
  if (agents.size === 0) return;
  const seen = [...agents].sort(([a], [b]) => (a < b ? -1 : 1));
  await session.query(
    `INSERT INTO memori_agents AS a (name, server, status, last_seen, updated_at)
     SELECT name, server, $4, at, 0
     FROM unnest($1::text[], $2::text[], $3::bigint[]) AS seen (name, server, at)
     ON CONFLICT (name) DO UPDATE SET last_seen = excluded.last_seen WHERE a.last_seen < excluded.last_seen`,
    [
      seen.map(([name]) => name),
      seen.map(([, { server }]) => server),
      seen.map(([, { at }]) => at),
      DEFAULT_AGENT_STATUS,
    ],
  );
}
