import { existsSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { bytes } from "../../amounts.ts";
import { abortError, type Call } from "../../call.ts";
import type { Thresholds } from "../../config/thresholds.ts";
import { OpsError } from "../../errors.ts";
import type { Maintenance, MaintenanceTask } from "../../maintain/port.ts";
import type { QueryResult } from "../../query/port.ts";
import type { Origin } from "../engine.ts";
import type { SqliteConnection } from "./connect.ts";
import { fileFacts, freePercent, sizeOf, wantsAnalyze } from "./file-facts.ts";
import { fitsRecords, type IndexCounts, indexCounts, isOutdated, isUnfinished } from "./full-text-index.ts";
import { refuseNewerIndex } from "./index-version.ts";
import { runInProcess } from "./query-run.ts";

const CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)";
/** All tables whose statistics are missing or old, whether this connection asked them or not. */
const OPTIMIZE = "PRAGMA optimize(0x10002)";

/** What keeps a SQLite file small and its queries quick. A file that is not there needs nothing. */
export function sqliteMaintenance(
  connection: SqliteConnection,
  _origin: Origin,
  thresholds: Thresholds,
): Maintenance {
  const { path } = connection;
  return {
    async plan(_call, { all }) {
      if (!existsSync(path)) return [];
      const { facts, analyze, index } = connection.read((database) => ({
        facts: fileFacts(database),
        analyze: wantsAnalyze(database),
        index: indexCounts(database),
      }));
      const isLarge = facts.pages * facts.pageSize >= thresholds.large;
      const logBytes = sizeOf(`${path}-wal`);
      const percent = freePercent(facts);
      const tasks: MaintenanceTask[] = [];
      if (index) refuseNewerIndex(index.version, path);
      // what recall finds comes before what is only small or quick
      if (index) tasks.push(...indexTasks(connection, index));
      if (logBytes > thresholds.sqlite_wal || (all && logBytes > 0))
        tasks.push(checkpointTask(path, logBytes));
      if (all || (isLarge && percent >= thresholds.sqlite_free)) tasks.push(vacuumTask(path, facts));
      if (analyze.length > 0 && (all || isLarge)) tasks.push(optimizeTask(path, analyze.length));
      return tasks;
    },
  };
}

/** An index that is made anew needs no renewal; nor does it when that was begun, for whatever reason. */
function indexTasks(connection: SqliteConnection, counts: IndexCounts): MaintenanceTask[] {
  if (!fitsRecords(counts) || isUnfinished(counts)) return [reindexTask(connection, counts)];
  return isOutdated(counts) ? [renewTask(connection, counts)] : [];
}

function reindexTask(connection: SqliteConnection, counts: IndexCounts): MaintenanceTask {
  const { visible, missing, surplus, documents, rebuilt } = counts;
  const isBegun = isUnfinished(counts);
  return {
    kind: "reindex",
    subject: `${connection.path}, memori_index`,
    why: isBegun
      ? `a new index was begun and not finished: ${rebuilt ?? visible} of ${visible} records are in it`
      : `${missing} of ${visible} records have no entry, ${surplus} entries no record; ranking counts ${documents} records`,
    statement:
      "INSERT the words of every record into a new index, some at a time, then ALTER TABLE … RENAME TO memori_index",
    work_bytes: null,
    async run(call) {
      const { rebuildIndex } = await import("./index-rebuild.ts");
      return { freed_bytes: null, note: `${await rebuildIndex(call, connection)} records indexed` };
    },
  };
}

function renewTask(connection: SqliteConnection, { outdated, visible }: IndexCounts): MaintenanceTask {
  return {
    kind: "renew",
    subject: `${connection.path}, memori_index`,
    why: `an older opsctl made the entries of ${outdated} of ${visible} records`,
    statement: "DELETE and INSERT the entry of each such record, some at a time",
    work_bytes: null,
    async run(call) {
      const { renewIndex } = await import("./index-renewal.ts");
      return { freed_bytes: null, note: `${await renewIndex(call, connection)} entries made anew` };
    },
  };
}

function checkpointTask(path: string, logBytes: number): MaintenanceTask {
  return {
    kind: "checkpoint",
    subject: path,
    why: `its write-ahead log has ${bytes(logBytes)}`,
    statement: CHECKPOINT,
    work_bytes: logBytes,
    run: (call) => measured(path, () => checkpoint(call, path)),
  };
}

function vacuumTask(path: string, facts: ReturnType<typeof fileFacts>): MaintenanceTask {
  const used = (facts.pages - facts.freePages) * facts.pageSize;
  return {
    kind: "vacuum",
    subject: path,
    why: `${freePercent(facts).toFixed(0)} % of its ${facts.pages} pages are free (${bytes(facts.freePages * facts.pageSize)})`,
    statement: "VACUUM",
    work_bytes: used,
    run: (call) =>
      measured(path, async () => {
        await refuseWithoutRoom(path, used);
        await change(call, path, "VACUUM");
        // the smaller file is in the log until a checkpoint
        return checkpoint(call, path);
      }),
  };
}

function optimizeTask(path: string, tables: number): MaintenanceTask {
  return {
    kind: "optimize",
    subject: path,
    why: `${tables} tables have no statistics, or old ones`,
    statement: OPTIMIZE,
    work_bytes: null,
    run: (call) =>
      measured(path, async () => {
        await change(call, path, OPTIMIZE);
        return null;
      }),
  };
}

/** @returns a note when readers of an older state keep the log as it is */
async function checkpoint(call: Call, path: string): Promise<string | null> {
  const { rows } = await change(call, path, CHECKPOINT);
  const isBusy = rows[0]?.[0] === 1;
  return isBusy ? "another process reads an older state of the file: its log stays until that is over" : null;
}

/** SQLite keeps all of a statement or nothing, so one that was ended is a failure like any other. */
async function change(call: Call, path: string, text: string): Promise<QueryResult> {
  try {
    return await runInProcess(call, path, text, { write: true, explain: false, limit: 1 });
  } catch (error) {
    if (call.signal.aborted) throw abortError(call.signal.reason);
    throw error;
  }
}

/** Runs it, and sees what it freed: of the file and of its log. */
async function measured(path: string, work: () => Promise<string | null>) {
  const size = () => sizeOf(path) + sizeOf(`${path}-wal`);
  const before = size();
  const note = await work();
  return { freed_bytes: Math.max(0, before - size()), note };
}

/**
 * VACUUM writes what is used into a temporary file, and from there into the log (https://sqlite.org/lang_vacuum.html#how_vacuum_works).
 * @throws OpsError `failed` when there may be too little room for both
 */
async function refuseWithoutRoom(path: string, usedBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(dirname(path));
  const free = bavail * bsize;
  if (free >= 2 * usedBytes) return;
  throw new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `VACUUM of ${path} may need ${bytes(2 * usedBytes)}, and ${dirname(path)} has ${bytes(free)} free`,
    hint: "free some space; nothing was changed",
  });
}
