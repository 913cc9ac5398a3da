import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";

/** What happens to a schema: a file is applied, or what it did is taken back. */
export type Direction = "up" | "down";

/** Layouts of a folder that are read as they are. */
export const FORMATS = ["opsctl", "golang-migrate", "dbmate", "diesel"] as const;
export type Format = (typeof FORMATS)[number];

/** One direction of a migration. */
export interface Script {
  /**
   * Where it stands, relative to the folder: `V001-description-up.sql`, `2024-01-01_users/up.sql`; of a file that holds both directions
   * `2024_users.sql` and `2024_users.sql (migrate:down)`. No two scripts of a set have the same; history names the script by it.
   */
  file: string;
  /** Without BOM, line ends as LF; what belongs to the other direction is blank, so that lines keep their numbers. */
  text: string;
  /** `sha256:` and the hex digest of the text (of a file with two directions: of the part). */
  checksum: string;
  /** False: each statement commits by itself (`-- opsctl: no-transaction`). Engines without transactions over a file ignore it. */
  inTransaction: boolean;
}

/** One version of a set. */
export interface Migration {
  set: string;
  /** As in the file name: `V001`, `2025-01-15-001`, `20240101120000`. */
  version: string;
  /** The version as a number: the order within the set. A safe integer. */
  seq: number;
  description: string;
  up: Script;
  /** Null: it cannot be rolled back. */
  down: Script | null;
}

export type HistoryState = "running" | "applied" | "failed" | "reverted";

/** One row of `opsctl_migrations`, the same columns in every engine; its key is (set_name, version). */
export interface HistoryRow {
  set_name: string;
  version: string;
  seq: number;
  /** The script `up`; while a rollback is under way or broken off, the script `down`. */
  file: string;
  description: string;
  /** Of the script `up`; while the state is `running` or `failed`, of the statements that are done (`executedChecksum`). */
  checksum: string;
  /** `running` and `failed` exist only for scripts that have no transaction around them. */
  state: HistoryState;
  /** Statements done of a script that has no transaction around it; 0 for the other states. */
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

/** One statement of a script. */
export interface Statement {
  /** As written, from its first token to its last, without the `;` (comments inside are kept, those around it are not). */
  text: string;
  /** Where it begins in the script's text, in UTF-16 units. */
  offset: number;
}

/** One script to run, and how history records it. */
export interface Step {
  migration: Migration;
  direction: Direction;
  /** The script of that direction. */
  script: Script;
  /** The columns that do not depend on the outcome; `file` and `checksum` are those of `up`. */
  row: Omit<HistoryRow, "state" | "duration_ms" | "statement_index">;
  /** Statements that are done already: of a script that was broken off and is resumed. */
  from: number;
  limits: StepLimits;
}

export interface StepLimits {
  /** How long one statement waits for a lock that somebody else holds on a table; ms. */
  lockTimeoutMs: number;
  /** How long one statement may take; ms, null: as long as it needs. */
  statementTimeoutMs: number | null;
}

/** What another tool recorded in its own table. */
export interface PeerHistory {
  /** Its table, for messages. */
  table: string;
  /** Versions as the tool stores them. */
  versions: string[];
  /** It keeps the last version only: everything below counts as applied (golang-migrate). */
  lastOnly: boolean;
  /** It broke off in the middle of a file (golang-migrate). */
  dirty: boolean;
}

/** What the runner needs of an engine. All methods throw OpsError only. */
export interface MigrationTarget {
  readonly engine: EngineName;

  /** History of all sets, ordered by set and seq; empty when there is no history yet. Writes nothing, takes no lock. */
  history(call: Call): Promise<HistoryRow[]>;

  /**
   * What must be there before a set's files can run (PostgreSQL: the database, extensions; Neo4j: an index of the guides that stands in the way).
   * Also creates the history when missing. With `dryRun` nothing is written. Returns what changed, or would.
   */
  prepare(call: Call, sets: readonly string[], dryRun: boolean): Promise<Change[]>;

  /** Null when the set can be applied here, else the reason why not (for example a missing extension). */
  unavailable(call: Call, set: string): Promise<string | null>;

  /**
   * Names of what is there and was made by neither opsctl nor one of its shipped sets, at most five: a folder of migrations would meet
   * it. Always empty where data says nothing about a schema (Redis).
   */
  occupants(call: Call): Promise<string[]>;

  /** History that another tool keeps here; null: its table is not there. */
  peerHistory(call: Call, format: Format): Promise<PeerHistory | null>;

  /**
   * Refuses what must not run, without asking the server: transaction control, commands of a client program, text that never ends.
   * @throws OpsError `usage` naming file, line and column
   */
  check(script: Script, format: Format): void;

  /** The statements of a text, in order. */
  statements(text: string): Statement[];

  /**
   * Whether a statement that may or may not have taken effect when its runner was killed can run (again): because it has the same
   * effect twice, or because `run` finds out.
   */
  repeatable(statement: Statement): boolean;

  /** What a dry run can tell about a statement beyond its text (`would reach 1,204 keys`); null: nothing. Reads only. */
  preview?(call: Call, statement: Statement): Promise<string | null>;

  /**
   * Runs `work` while no other runner works on this target. Says on the log who holds the lock while it waits.
   * @throws OpsError `locked` when another runner holds the lock until the wait is over
   */
  exclusively<T>(call: Call, waitMs: number, work: () => Promise<T>): Promise<T>;

  /**
   * Runs a script and records it, inside `exclusively`: in one transaction where engine and script have them, else as `stepwise.ts` does.
   * @throws OpsError naming file, line and column with an excerpt when a statement is refused; `locked` when the lock was lost or
   * somebody else has recorded this version meanwhile
   */
  run(call: Call, step: Step): Promise<void>;

  /** Writes rows of history as they are, all or none, and runs nothing (baseline, repair). Inside `exclusively`. */
  record(call: Call, rows: readonly HistoryRow[]): Promise<void>;

  /** Waits until what the set made is usable (indexes online), then counts: `{fixes: 0, agents: 0, indexes: 6, …}`. */
  verify(call: Call, set: string): Promise<Record<string, number>>;

  /**
   * Copies what the next change would alter, beside the original, and returns where; null: there is nothing to copy yet. Only where a copy
   * is cheap and whole (SQLite). `before` is the version that comes next.
   */
  copy?(call: Call, before: string): Promise<string | null>;

  /** The schema as text, the same for the same schema; undefined where there is none to dump. */
  dump?(call: Call): Promise<string>;
}
