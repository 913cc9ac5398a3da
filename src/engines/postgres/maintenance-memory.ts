/** Entries of the memory's index that an older analyzer made, made anew in place. */
import { type Call, throwIfAborted } from "../../call.ts";
import type { MaintenanceTask } from "../../maintain/port.ts";
import { INDEX_VERSION, prepare } from "../../memory/analyze.ts";
import type { MemoryRecord, Prepared } from "../../memory/model.ts";
import { number } from "./checks/words.ts";
import type { PostgresConnection } from "./connect.ts";
import { CorpusChange, weightsOf } from "./corpus.ts";
import { lockCorpus, refuseNewer } from "./index-version.ts";
import { type Entry, indexEntries } from "./remember-sql.ts";

/** How long a batch is meant to keep other writers waiting, ms: they are never to wait 50, and a disk has bad moments. */
const TARGET_MS = 20;
const FIRST_RECORDS = 8;
const MAX_RECORDS = 500;
/** Records that are looked at for outdated ones at once. */
const PAGE_RECORDS = 2_000;
/** Bytes of texts of one batch: a record may have 2 MiB. */
const MAX_BYTES = 4_000_000;

interface Index {
  /** Of the oldest entry. */
  version: number;
  documents: number;
  size: number;
}

/** Whether there is a memory that this user may write; its column may be missing where `init` has not been since. */
const IS_THERE = `SELECT coalesce(has_table_privilege(to_regclass('memori_metadata'), 'UPDATE')
  AND has_table_privilege(to_regclass('memori_statistics'), 'SELECT')
  AND has_table_privilege(to_regclass('memori_statistics'), 'UPDATE'), false) AS there`;

const INDEX = `SELECT (to_jsonb(s) ->> 'index_version')::integer AS version, documents,
  pg_total_relation_size('memori_metadata') AS size FROM memori_statistics s`;

/**
 * Nothing when the index is of this version, nor before `init` has brought the schema up to date.
 * @throws OpsError `failed` when a newer program made the index
 */
export async function outdatedIndex(call: Call, connection: PostgresConnection): Promise<MaintenanceTask[]> {
  const [memory] = await connection.query<{ there: boolean }>(call, IS_THERE);
  if (!memory!.there) return [];
  const [index] = await connection.query<Index & { version: number | null }>(call, INDEX);
  if (index === undefined || index.version === null) return [];
  refuseNewer(index.version, connection.where);
  if (index.version === INDEX_VERSION) return [];
  const { version, documents, size } = index;
  return [
    {
      kind: "renew-index",
      subject: "memori_metadata",
      why: `the index of the memory is of version ${version}, this program's is ${INDEX_VERSION}; ${number(documents)} records`,
      statement: `UPDATE memori_metadata, a few records a transaction, where index_version < ${INDEX_VERSION}`,
      work_bytes: size,
      async run(own) {
        const renewed = await renewIndex(own, connection, documents);
        return { freed_bytes: null, note: `${number(renewed)} records were indexed anew` };
      },
    },
  ];
}

/**
 * Each batch is a transaction of its own that leaves index, frequencies and sums exact: wherever this ends, the next run goes on.
 * @returns how many records were made anew
 */
async function renewIndex(call: Call, connection: PostgresConnection, documents: number): Promise<number> {
  let total = 0;
  // until a walk finds nothing: an older program may write meanwhile
  for (let renewed = -1; renewed !== 0; total += renewed) {
    renewed = await walk(call, connection, (done) => {
      call.progress({ label: "index of the memory", done: total + done, total: documents, unit: "rows" });
    });
  }
  await connection.transaction(call, async (session) => {
    await lockCorpus(session, connection.where);
    await session.query("UPDATE memori_statistics SET index_version = $1", [INDEX_VERSION]);
  });
  return total;
}

/** All outdated records once, in the order of their ids. */
async function walk(
  call: Call,
  connection: PostgresConnection,
  onDone: (renewed: number) => void,
): Promise<number> {
  let renewed = 0;
  let count = FIRST_RECORDS;
  for (let after = ""; ; ) {
    throwIfAborted(call);
    const { end, ids } = await findOutdated(call, connection, after, count);
    if (end === null) return renewed;
    const records = await readOutdated(call, connection, ids);
    after = records.at(-1)?.id ?? end;
    if (records.length === 0) continue;
    const { changed, heldMs } = await renewBatch(call, connection, records.map(entryOf));
    renewed += changed;
    onDone(renewed);
    count = nextCount(records.length, heldMs);
  }
}

/** At most twice as many as before: what a few records take says little of many. */
function nextCount(count: number, heldMs: number): number {
  const factor = Math.min(2, TARGET_MS / Math.max(1, heldMs));
  return Math.min(MAX_RECORDS, Math.max(1, Math.floor(count * factor)));
}

type Outdated = Pick<MemoryRecord, "id" | "key" | "content" | "details"> & { old: Indexed };

type Indexed = Omit<Prepared, "foldedKey">;

/**
 * The first outdated ones of the next records; `end` is the last of these, null when there are none. The condition is no part of the inner
 * query: for what few records fulfil, the server would read the whole table in place of its key.
 */
async function findOutdated(
  call: Call,
  connection: PostgresConnection,
  after: string,
  count: number,
): Promise<{ end: string | null; ids: string[] }> {
  const rows = await connection.query<{ end: string | null; ids: string[] }>(
    call,
    `WITH page AS MATERIALIZED (
       SELECT id, index_version, deleted_at FROM memori_metadata WHERE id > $1 ORDER BY id LIMIT ${PAGE_RECORDS}
     )
     SELECT (SELECT max(id) FROM page) AS "end", array(
       SELECT id FROM page WHERE index_version < ${INDEX_VERSION} AND deleted_at IS NULL ORDER BY id LIMIT $2) AS ids`,
    [after, count],
  );
  return rows[0]!;
}

/** Without the lock: a record's texts never change, and its tokens only together with its version. */
async function readOutdated(
  call: Call,
  connection: PostgresConnection,
  ids: readonly string[],
): Promise<Outdated[]> {
  if (ids.length === 0) return [];
  const rows = await connection.query<Omit<Outdated, "old"> & Indexed>(
    call,
    `SELECT id, key, content, details, title_tokens AS title, body_tokens AS body, shape_tokens AS shape,
       title_length AS "titleLength", body_length AS "bodyLength"
     FROM (
       SELECT *, row_number() OVER ids AS place,
         sum(octet_length(content) + coalesce(octet_length(details), 0)) OVER ids AS bytes
       FROM memori_metadata WHERE id = ANY ($1::text[]) WINDOW ids AS (ORDER BY id)
     ) m WHERE place = 1 OR bytes <= ${MAX_BYTES} ORDER BY id`,
    [ids],
  );
  return rows.map(({ id, key, content, details, ...old }) => ({ id, key, content, details, old }));
}

type Renewed = Entry & { old: Indexed };

function entryOf({ id, old, ...record }: Outdated): Renewed {
  const prepared = prepare(record);
  return { id, old, prepared, weights: weightsOf(prepared) };
}

/** @returns how many were still outdated, and how long other writers had to wait, ms */
async function renewBatch(
  call: Call,
  connection: PostgresConnection,
  entries: readonly Renewed[],
): Promise<{ changed: number; heldMs: number }> {
  let lockedAt = 0;
  const changed = await connection.transaction(call, async (session) => {
    await lockCorpus(session, connection.where);
    lockedAt = performance.now();
    // not those that somebody has made anew, or forgotten, meanwhile
    const condition = `m.index_version < ${INDEX_VERSION} AND m.deleted_at IS NULL`;
    const ids = await indexEntries(session, entries, condition);
    const corpus = new CorpusChange();
    for (const { id, old, prepared, weights } of entries) {
      if (!ids.has(id)) continue;
      corpus.count(weightsOf(old).keys(), old, -1);
      corpus.count(weights.keys(), prepared, 1);
    }
    await corpus.write(session);
    return ids.size;
  });
  return { changed, heldMs: performance.now() - lockedAt };
}
