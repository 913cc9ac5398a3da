import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";

/** One file of a set, direction up. */
export interface Migration {
  set: string;
  /** As in the file name: `V001`. */
  version: string;
  /** The number in the version: order within the set. */
  seq: number;
  file: string;
  description: string;
  /** `sha256:` and the hex digest of the text with BOM removed and line ends as LF. */
  checksum: string;
  text: string;
}

export type HistoryState = "running" | "applied" | "failed" | "reverted";

/** One row of `opsctl_migrations`, the same columns in every engine; its key is (set_name, version). */
export interface HistoryRow {
  set_name: string;
  version: string;
  seq: number;
  file: string;
  description: string;
  checksum: string;
  state: HistoryState;
  /** Statements done of a file that has no transaction around it. */
  statement_index: number;
  applied_by: string;
  /** ms */
  applied_at: number;
  duration_ms: number;
  tool_version: string;
}

/** A change that is no migration file: a created database, an extension, a replaced index. Values are shown as they are. */
export interface Change {
  name: string;
  before: string | null;
  after: string | null;
}

/** What the runner needs of an engine. All methods throw OpsError only. */
export interface MigrationTarget {
  readonly engine: EngineName;

  /** History of all sets; empty when there is no history yet. Writes nothing, takes no lock. */
  history(call: Call): Promise<HistoryRow[]>;

  /**
   * What must be there before a set's files can run (PostgreSQL: the database, extensions; Neo4j: an index of the guides that stands in the way).
   * Also creates the history when missing. With `dryRun` nothing is written. Returns what changed, or would.
   */
  prepare(call: Call, sets: readonly string[], dryRun: boolean): Promise<Change[]>;

  /**
   * Runs `work` while no other runner works on this target.
   * @throws OpsError `locked` when another runner holds the lock until the wait is over
   */
  exclusively<T>(call: Call, work: () => Promise<T>): Promise<T>;

  /** Null when the set can be applied here, else the reason why not (for example a missing extension). */
  unavailable(call: Call, set: string): Promise<string | null>;

  /** Runs one file and records it: in one transaction where the engine has them, else `running` first, then `applied` or `failed`. */
  apply(
    call: Call,
    migration: Migration,
    row: Omit<HistoryRow, "state" | "duration_ms" | "statement_index">,
  ): Promise<void>;

  /** The statements of a file, one element each, comments dropped, for `--dry-run`. */
  statements(text: string): string[];

  /** Waits until what the set made is usable (indexes online), then counts: `{fixes: 0, agents: 0, indexes: 6, …}`. */
  verify(call: Call, set: string): Promise<Record<string, number>>;
}
