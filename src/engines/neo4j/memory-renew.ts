/** Entries of the full-text index that an older program made, made anew where they are. */
import { type Call, throwIfAborted } from "../../call.ts";
import { INDEX_VERSION, prepare } from "../../memory/analyze.ts";
import type { MemoryRecord, Prepared } from "../../memory/model.ts";
import type { Neo4jConnection, Run } from "./connect.ts";
import { indexProperties, sendStatistics, sendTerms } from "./memory-flush.ts";
import { countTerms } from "./memory-plan.ts";
import { LOCK, type Lock, refuseNewerIndex } from "./memory-write.ts";

/** Ids that are looked at with one query; only those of older entries are fetched. */
const PAGE = 5_000;
/** Longest time for which other writers should wait, ms; half of it is aimed at. */
const LOCK_MS = 50;
/** Entries of one transaction. Fewer would save nothing: on a busy server the transaction itself takes the time. */
const MIN_BATCH = 10;
const MAX_BATCH = 500;
/** Characters of one batch's texts: long ones go in smaller batches. */
const MAX_BATCH_CHARACTERS = 200_000;

export interface IndexState {
  /** Version of the oldest entry. */
  version: number;
  /** Visible records, entries of every version included. */
  documents: number;
}

/** One row of IndexState, or none in a database without the memory. */
export const INDEX_STATE = `MATCH (s:Stat {id: 'memory'})
RETURN coalesce(s.index_version, 1) AS version, s.documents AS documents`;

/**
 * Undefined when the index is of this program's version, or empty.
 * @throws OpsError `failed` when a newer program made it
 */
export async function outdatedIndex(
  call: Call,
  connection: Neo4jConnection,
): Promise<IndexState | undefined> {
  const [state] = await connection.read<IndexState>(call, INDEX_STATE);
  if (state) refuseNewerIndex(connection, state.version);
  return state && state.documents > 0 && state.version < INDEX_VERSION ? state : undefined;
}

// in the order of the constraint's index: each page goes on where the one before ended, and none is sorted
const OLDER = `MATCH (m:Memory) WHERE m.id > $after WITH m ORDER BY m.id LIMIT $page
WITH collect(m) AS page
RETURN last(page).id AS last, [m IN page WHERE m.tokens IS NOT NULL AND coalesce(m.index_version, 1) < $version
  | {id: m.id, characters: size(m.content) + size(coalesce(m.details, ''))}] AS older`;

const TEXTS = `UNWIND $ids AS id MATCH (m:Memory {id: id})
RETURN m {.id, .key, .content, .details} AS record, {title: m.title_tokens, body: m.body_tokens,
  shape: coalesce(m.shape_tokens, ''), titleLength: m.title_length, bodyLength: m.body_length} AS before`;

/** Still visible and not renewed: of what was read before the lock, the rest cannot have changed. */
const STILL_OLDER = `UNWIND $ids AS id MATCH (m:Memory {id: id})
WHERE m.tokens IS NOT NULL AND coalesce(m.index_version, 1) < $version RETURN m.id AS id`;

const RENEWED = "UNWIND $rows AS row MATCH (m:Memory {id: row.id}) SET m += row.index";

const FINISHED = `MATCH (s:Stat {id: 'memory'}) WHERE coalesce(s.index_version, 1) < $version
SET s.index_version = $version`;

interface Entry {
  id: string;
  before: Omit<Prepared, "foldedKey">;
  now: Prepared;
}

/**
 * Renews every older entry in transactions of a few records, each of which leaves index, frequencies and sums exact; then the index is of
 * this program's version. Broken off at any place, the next run goes on: what is renewed says so itself.
 * @returns how many were renewed
 */
export async function renewIndex(call: Call, connection: Neo4jConnection): Promise<number> {
  const version = BigInt(INDEX_VERSION);
  const { documents } = (await outdatedIndex(call, connection)) ?? { documents: 0 };
  let renewed = 0;
  let size = MIN_BATCH;
  for (let after = ""; ; ) {
    const [page] = await connection.read<{ last: string | null; older: Sized[] }>(call, OLDER, {
      after,
      version,
      page: BigInt(PAGE),
    });
    if (page!.last === null) break;
    for (let from = 0; from < page!.older.length; ) {
      throwIfAborted(call);
      const ids = take(page!.older.slice(from, from + size));
      const heldMs = await renewBatch(call, connection, ids);
      from += ids.length;
      renewed += ids.length;
      size = nextSize(ids.length, heldMs);
      call.progress({ label: "index entries", done: renewed, total: documents, unit: "rows" });
    }
    after = page!.last;
  }
  await connection.write(call, async (run) => {
    await run(LOCK);
    await run(FINISHED, { version });
  });
  return renewed;
}

interface Sized {
  id: string;
  characters: number;
}

/** At least one of them. */
function take(older: readonly Sized[]): string[] {
  const taken: string[] = [];
  let characters = 0;
  for (const one of older) {
    characters += one.characters;
    if (taken.length > 0 && characters > MAX_BATCH_CHARACTERS) break;
    taken.push(one.id);
  }
  return taken;
}

/** As many as half of the time takes at this speed, at most twice as many as before. */
function nextSize(size: number, heldMs: number): number {
  const fitting = Math.floor((size * LOCK_MS) / (2 * Math.max(1, heldMs)));
  return Math.min(MAX_BATCH, Math.max(MIN_BATCH, Math.min(2 * size, fitting)));
}

/**
 * Texts are read and analysed before the lock is taken; inside it only what changes is written.
 * @returns for how long other writers waited, ms
 */
async function renewBatch(call: Call, connection: Neo4jConnection, ids: readonly string[]): Promise<number> {
  const rows = await connection.read<{ record: MemoryRecord; before: Entry["before"] }>(call, TEXTS, { ids });
  const entries = rows.map(({ record, before }) => ({ id: record.id, before, now: prepare(record) }));
  let lockedAt = 0;
  await connection.write(call, async (run) => {
    const [[lock], still] = await Promise.all([
      run<Lock>(LOCK).then((answer) => {
        lockedAt = performance.now();
        return answer;
      }),
      run<{ id: string }>(STILL_OLDER, { ids, version: BigInt(INDEX_VERSION) }),
    ]);
    refuseNewerIndex(connection, lock?.version ?? null);
    const wanted = new Set(still.map(({ id }) => id));
    await writeEntries(
      run,
      entries.filter(({ id }) => wanted.has(id)),
    );
  });
  return performance.now() - lockedAt;
}

async function writeEntries(run: Run, entries: readonly Entry[]): Promise<void> {
  if (entries.length === 0) return;
  const frequencies = new Map<string, number>();
  const sums = { documents: 0, titleLength: 0, bodyLength: 0 };
  for (const { before, now } of entries) {
    countTerms(frequencies, before, -1);
    countTerms(frequencies, now, 1);
    sums.titleLength += now.titleLength - before.titleLength;
    sums.bodyLength += now.bodyLength - before.bodyLength;
  }
  const rows = entries.map(({ id, now }) => ({ id, index: indexProperties(now, true) }));
  await Promise.all([
    run(RENEWED, { rows }),
    ...sendTerms(run, { frequencies }),
    ...sendStatistics(run, sums),
  ]);
}
