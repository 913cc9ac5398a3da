/** A lock between processes that dies with its holder. */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Log, sleep } from "./shell.ts";

/**
 * Runs `work` while this process alone holds the lock `file`. The lock is SQLite's lock on an empty database, which
 * the kernel drops when the holder ends in any way: there is no stale lock to recognise. The file stays behind on
 * purpose; deleting it would let two processes lock two files of one name. Throws after `timeoutMs` (10 minutes).
 */
export async function withLock<T>(
  file: string,
  log: Log,
  work: () => Promise<T>,
  timeoutMs = 600_000,
): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const database = new DatabaseSync(file, { timeout: 0 });
  try {
    await acquire(database, file, log, timeoutMs);
    return await work();
  } finally {
    database.close();
  }
}

async function acquire(database: DatabaseSync, file: string, log: Log, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (let attempt = 0; ; attempt++) {
    try {
      database.exec("BEGIN EXCLUSIVE");
      return;
    } catch (error) {
      if (!/locked|busy/i.test(String(error))) throw error;
      if (Date.now() > deadline)
        throw new Error(`another process has held ${file} for ${timeoutMs / 60_000} minutes`);
      if (attempt === 0) log(`waiting for another process that holds ${file}`);
      await sleep(200);
    }
  }
}
