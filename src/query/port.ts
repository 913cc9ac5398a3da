import type { Call } from "../call.ts";

export interface QueryOptions {
  /** False: the server itself refuses to change anything (a read-only transaction, an access mode, a list of reading commands). */
  write: boolean;
  /** The plan instead of the rows; nothing is run. */
  explain: boolean;
  /** Rows to return at most; one more is read to know whether there are more. */
  limit: number;
}

export interface QueryResult {
  columns: string[];
  /** Values that JSON can hold: text, numbers, booleans, null, arrays and objects; 64-bit integers beyond 2^53 and bytes are text. */
  rows: unknown[][];
  /** There are more rows than the limit. */
  truncated: boolean;
  /** Rows, nodes or keys that a write changed, where the server counts them. */
  changed: number | null;
}

/**
 * One statement of an operator, through the driver. A write runs outside of a transaction of ours, so that `VACUUM` and
 * `CREATE INDEX CONCURRENTLY` work.
 * @throws OpsError `usage` for several statements, an empty one, a write without `write`, a plan where the engine has none; `failed` with
 *   the server's own message, place in the text included
 */
export interface QueryTarget {
  query(call: Call, text: string, options: QueryOptions): Promise<QueryResult>;
}

/** The engine's own shell, connected: secrets travel in the environment, never in arguments. Undefined takes away what the caller has. */
export interface ShellCommand {
  file: string;
  args: string[];
  env: Record<string, string | undefined>;
}
