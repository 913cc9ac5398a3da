/** Copying a file's pages as of one moment; and the copy that is kept before a migration changes a file. */
import { existsSync, readdirSync, realpathSync, rmSync, statSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import Database from "better-sqlite3";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { PARTIAL, publish } from "../../publish.ts";
import { type SqliteConnection, withLock } from "./connect.ts";
import { fileError, messageOf, sqliteError } from "./errors.ts";
import { BUSY_SLICE_MS } from "./open.ts";

/** Bytes copied between two looks at the signal. */
const SLICE_BYTES = 8 * 1024 * 1024;
/** Left free beside the copy: the migration itself needs room. */
const RESERVE_BYTES = 1024 * 1024;

/**
 * Copies the file to `<file>.before-<version>-<YYYYMMDDTHHMMSSZ>` with SQLite's backup API: page by page as of one moment, with what is
 * still in its write-ahead log. Inside the lock of migrations.
 * @returns where; null when the file holds nothing but opsctl's history
 * @throws OpsError `failed` when there is no room for it, naming --no-copy
 */
export async function copyFile(
  call: Call,
  connection: SqliteConnection,
  before: string,
): Promise<string | null> {
  if (!existsSync(connection.path)) return null;
  const path = realpathSync(connection.path);
  removePartials(path);
  const source = openSource(path);
  try {
    const bytes = await withLock(call, path, () => beginRead(source));
    if (bytes === null) return null;
    await requireSpace(dirname(path), bytes);
    const copy = nameOfCopy(path, before, new Date());
    const label = `copy of ${basename(path)}`;
    await publish(copy, statSync(path).mode & 0o777, async (partial) => {
      await copyPages(source, partial, (done, total) => {
        throwIfAborted(call);
        call.progress({ label, done, total, unit: "bytes" });
      });
    });
    return copy;
  } catch (error) {
    throw copyError(error, path);
  } finally {
    source.close();
  }
}

function openSource(path: string): Database.Database {
  try {
    return new Database(path, { timeout: BUSY_SLICE_MS, fileMustExist: true });
  } catch (error) {
    throw sqliteError(error, path);
  }
}

/**
 * Begins a transaction, in which the backup sees one moment of the file and need not start over when somebody writes.
 * @returns bytes of the file; null: it holds nothing
 */
function beginRead(source: Database.Database): number | null {
  if (!source.inTransaction) source.exec("BEGIN");
  const others = source
    .prepare<[], number>("SELECT count(*) FROM sqlite_schema WHERE tbl_name <> 'opsctl_migrations'")
    .pluck()
    .get()!;
  if (others === 0) return null;
  const size = (name: string) => source.pragma(name, { simple: true }) as number;
  return size("page_count") * size("page_size");
}

/** @throws OpsError `failed` when a folder's file system has no room for a file of this many bytes */
async function requireSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes + RESERVE_BYTES) return;
  throw new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `no room for the copy of the file: it needs ${mebibytes(bytes)} in ${folder}, ${mebibytes(free)} are free; nothing was changed`,
    hint: "free some space, or leave the copy out with --no-copy",
  });
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024).toLocaleString("en")} MiB`;
}

/** Two copies of one second have different names. */
function nameOfCopy(path: string, before: string, now: Date): string {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const name = `${path}.before-${before}-${time}`;
  for (let number = 1; ; number += 1) {
    const free = number === 1 ? name : `${name}-${number}`;
    if (!existsSync(free)) return free;
  }
}

/** Parts of copies whose processes were killed: nobody else copies while this process has the lock. */
function removePartials(path: string): void {
  const start = `${basename(path)}.before-`;
  for (const name of readdirSync(dirname(path))) {
    if (name.startsWith(start) && name.includes(PARTIAL)) rmSync(join(dirname(path), name), { force: true });
  }
}

/**
 * Copies all pages with the backup API, in slices. Inside a read transaction of `source` the copy shows one moment and never starts over;
 * without one it starts over whenever somebody writes (measured: 4,163 times in 10 s, and not finished).
 * @param to a file that is empty, or not there
 * @param onSlice after each slice, with bytes; what it throws ends the copy
 * @returns pages that were copied; 0 also for a file in use that could not be locked at the first attempt
 */
export async function copyPages(
  source: Database.Database,
  to: string,
  onSlice: (done: number, total: number) => void,
): Promise<number> {
  const pageSize = source.pragma("page_size", { simple: true }) as number;
  const { totalPages } = await source.backup(to, {
    progress({ totalPages, remainingPages }) {
      onSlice((totalPages - remainingPages) * pageSize, totalPages * pageSize);
      return Math.ceil(SLICE_BYTES / pageSize);
    },
  });
  return totalPages;
}

function copyError(error: unknown, path: string): OpsError {
  if (error instanceof OpsError) return error;
  const known = fileError(error, path);
  return new OpsError({
    code: known?.code ?? "failed",
    engine: "sqlite",
    message: `the copy of ${path} could not be made (${messageOf(error)}); nothing was changed`,
    hint: "check the disk, or leave the copy out with --no-copy",
    cause: error,
  });
}
