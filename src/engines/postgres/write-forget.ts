import type { Outcome } from "../../memory/model.ts";
import { type CorpusChange, weightsOf } from "./corpus.ts";
import type { WriteOf } from "./memory-write.ts";
import type { Session } from "./session.ts";

interface StoredRecord {
  id: string;
  deleted_at: number | null;
  /** Order of its latest write. */
  last_order: number;
  title: string;
  body: string;
  shape: string;
  titleLength: number;
  bodyLength: number;
}

/** Sets tombstones. A record that somebody remembered later than the tombstone stays. */
export async function applyForgets(
  session: Session,
  writes: readonly WriteOf<"forget">[],
  corpus: CorpusChange,
): Promise<Outcome[]> {
  const rows = await session.query<StoredRecord>(
    `SELECT m.id, m.deleted_at, m.title_tokens AS title, m.body_tokens AS body,
       m.shape_tokens AS shape, m.title_length AS "titleLength", m.body_length AS "bodyLength",
       (SELECT coalesce(max(recorded_at), 0) FROM memori_events WHERE record_id = m.id) AS last_order
     FROM memori_metadata m WHERE m.id = ANY ($1::text[])`,
    [[...new Set(writes.map((write) => write.recordId))]],
  );
  const records = new Map(rows.map((row) => [row.id, row]));
  const changed = new Map<string, number>();
  const outcomes = writes.map(({ recordId, order }): Outcome => {
    const record = records.get(recordId);
    if (!record || record.last_order > order) return "duplicate";
    const wasVisible = record.deleted_at === null;
    // a later tombstone also covers the events up to it that have not arrived yet
    record.deleted_at = Math.max(order, record.deleted_at ?? order);
    changed.set(recordId, record.deleted_at);
    if (!wasVisible) return "duplicate";
    corpus.count(weightsOf(record).keys(), record, -1);
    return "new";
  });
  await bury(session, changed);
  return outcomes;
}

async function bury(session: Session, tombstones: Map<string, number>): Promise<void> {
  if (tombstones.size === 0) return;
  await session.query(
    `UPDATE memori_metadata m SET deleted_at = gone.at, search = NULL
     FROM unnest($1::text[], $2::bigint[]) AS gone (id, at)
     WHERE m.id = gone.id AND m.deleted_at IS DISTINCT FROM gone.at`,
    [[...tombstones.keys()], [...tombstones.values()]],
  );
}
