import { existsSync } from "node:fs";
import type Database from "better-sqlite3";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Change, MigrationTarget } from "../../migrate/port.ts";
import { verificationQuery } from "../../migrate/verification.ts";
import { unitsOf } from "./blocks.ts";
import { checkScript } from "./check.ts";
import { type SqliteConnection, withLock } from "./connect.ts";
import { copyFile } from "./copy.ts";
import { isBusy } from "./errors.ts";
import { dumpSchema, readOccupants, readPeerHistory } from "./inspect.ts";
import { HISTORY_TABLE, readHistory, writeRow } from "./migration-history.ts";
import { type FileLock, withFileLock } from "./migration-lock.ts";
import { endRuns, newRunState, type RunState, runStep } from "./migration-run.ts";
import { isRepeatable } from "./migration-units.ts";
import { createFile } from "./open.ts";

/** In a file without a write-ahead log, one large transaction can keep readers out until its end. */
const WRITE_WAIT_MS = 300_000;
/** Shorter waits are not worth a line. */
const QUIET_MS = 1_000;

export function sqliteMigrations(connection: SqliteConnection): MigrationTarget {
  let held: { lock: FileLock; state: RunState } | undefined;

  /** A read; of a file that is not there, `missing`. */
  async function read<T>(call: Call, missing: T, work: (database: Database.Database) => T): Promise<T> {
    if (!existsSync(connection.path)) return missing;
    return patiently(call, connection.path, () => work(connection.database()));
  }

  /** @throws OpsError `locked` when this process does not hold the lock any more */
  function requireLock(): RunState {
    if (!held) throw new Error("migrations run inside exclusively()");
    held.lock.assertHeld();
    return held.state;
  }

  return {
    engine: "sqlite",
    history: (call) => read(call, [], readHistory),
    prepare: (call, _sets, dryRun) => prepare(call, connection, dryRun),
    unavailable: async () => null,
    occupants: (call) => read(call, [], readOccupants),
    peerHistory: (call, format) => read(call, null, (database) => readPeerHistory(database, format)),
    check: checkScript,
    statements: unitsOf,
    repeatable: isRepeatable,
    exclusively: (call, waitMs, work) =>
      withFileLock(call, connection.path, waitMs, async (lock) => {
        const state = newRunState();
        held = { lock, state };
        try {
          return await work();
        } finally {
          held = undefined;
          endRuns(state);
        }
      }),
    async run(call, step) {
      await runStep(call, connection, step, requireLock());
    },
    async record(call, rows) {
      requireLock();
      await connection.write(call, (database) => {
        for (const row of rows) writeRow(database, row);
      });
    },
    async verify(call, set) {
      const query = verificationQuery("sqlite", set);
      if (query === null) return {};
      return read(call, {}, (database) => database.prepare<[], Record<string, number>>(query).get()!);
    },
    copy: (call, before) => copyFile(call, connection, before),
    dump: (call) => dump(call),
  };

  async function dump(call: Call): Promise<string> {
    const text = await read(call, null, dumpSchema);
    if (text !== null) return text;
    throw new OpsError({
      code: "not_found",
      engine: "sqlite",
      message: `SQLite file ${connection.path} does not exist`,
      hint: "check the path",
    });
  }
}

/** Makes the file and the table of the history. */
async function prepare(call: Call, connection: SqliteConnection, dryRun: boolean): Promise<Change[]> {
  const { path } = connection;
  const change: Change = { name: `file ${path}`, before: null, after: "created" };
  if (dryRun) return existsSync(path) ? [] : [change];
  const isNew = createFile(connection);
  await patiently(call, path, () => connection.database().exec(HISTORY_TABLE));
  return isNew ? [change] : [];
}

/** Waits for another process to finish its write, and says so. */
function patiently<T>(call: Call, path: string, attempt: () => T): Promise<T> {
  let reportAt = performance.now() + QUIET_MS;
  const reporting = () => {
    try {
      return attempt();
    } catch (error) {
      if (isBusy(error) && performance.now() > reportAt) {
        reportAt = Number.POSITIVE_INFINITY;
        call.log("WARNING", `waiting: another process is writing to the SQLite file ${path}`);
      }
      throw error;
    }
  };
  return withLock(call, path, reporting, WRITE_WAIT_MS);
}
