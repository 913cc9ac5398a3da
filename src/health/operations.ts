/**
 * What this host's opsctl did: one line a command, appended to a file beside the state file. A file and not a table, because every command
 * writes one, and opening the state file costs more than many of them take.
 */
import { appendFileSync, existsSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

export interface Operation {
  /** Epoch ms when it began. */
  at: number;
  command: string;
  duration_ms: number;
  exit_code: number;
}

/** Above this size the log becomes the old log, which the next one replaces: both together hold some 200,000 operations. */
const MAX_BYTES = 8 * 1024 * 1024;

/** The log beside a state file, and the older part of it. */
export function operationFiles(stateFile: string): { current: string; older: string } {
  const current = join(dirname(stateFile), "operations.log");
  return { current, older: `${current}.1` };
}

/**
 * Adds a line. Counting must not make a command fail or leave a folder where there was none: this host counts from the first command that
 * needed its state folder.
 */
export function recordOperation(stateFile: string, operation: Operation): void {
  const { current, older } = operationFiles(stateFile);
  try {
    if (!existsSync(dirname(current))) return;
    appendFileSync(current, `${JSON.stringify(operation)}\n`, { mode: 0o600 });
    if (statSync(current).size > MAX_BYTES) renameSync(current, older);
  } catch {
    // a full disk, a read-only folder: the command itself says so where it matters
  }
}
