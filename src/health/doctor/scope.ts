import type { Archive } from "../../backup/archives.ts";
import type { Call } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import type { Thresholds } from "../../config/thresholds.ts";
import type { EngineName } from "../../errors.ts";
import type { Journal, JournalEntry } from "../../memory/journal.ts";
import type { HistoryRow, MigrationTarget } from "../../migrate/port.ts";
import type { ShippedSet } from "../../migrate/sets.ts";
import type { Source } from "../../migrate/source.ts";
import type { RestoreJournal } from "../../restore/journal.ts";
import type { EngineReport } from "../probes.ts";

/** What a check of an engine works with; `connection` has answered already. */
export interface EngineScope<C> {
  connection: C;
  target: Target;
  limits: Limits;
  thresholds: Thresholds;
  /** Where the host's file system begins (`/`; a test's folder): for /proc and data directories of servers on this host. */
  root: string;
}

/** A secret of the configuration, and where it stands. */
export interface KnownSecret {
  /** `REDIS_PASSWORD`, or `DATABASE_URL` for the password in it. */
  name: string;
  value: string;
  /** `environment`, `.env`, `opsctl.toml [default]` … */
  source: string;
  /** The file that X_FILE named, absolute; null: it stands elsewhere. */
  file: string | null;
}

/** What there is to know about the schema of an engine that answers. */
export interface EngineSchema {
  migrations: MigrationTarget;
  /** Of all sets. */
  history: readonly HistoryRow[];
  /** The shipped sets that `init` applies here. */
  chosen: readonly ShippedSet[];
  /** They were named in OPSCTL_SETS. */
  areNamed: boolean;
  /** The user's own files; null: there is no folder. */
  user: Source | null;
}

/** What a check beside the engines works with: the host below `root`, the configuration, the archives. */
export interface StackScope {
  root: string;
  thresholds: Thresholds;
  /** Epoch ms. */
  now: number;
  /** The configured servers and the embedded file where it is in use, with credentials: never print more than `shown`. */
  targets: readonly Target[];
  /** What each engine answered when it was asked. */
  engines: readonly EngineReport[];
  secrets: readonly KnownSecret[];
  /** Absolute paths; null: there is none. */
  files: {
    data: string;
    state: string;
    config: string | null;
    dotenv: string | null;
    archives: string;
  };
  /** The archives of the folder, oldest first; empty when there is no folder. */
  archives(): Promise<Archive[]>;
  /** Whether a run writes there just now. Takes the lock for an instant, so that it is asked only where something lies that a run may own. */
  archivesInUse(call: Call): Promise<boolean>;
  /** Undefined: this host has no state file yet; looking makes none. */
  restores(call: Call): Promise<Awaited<ReturnType<RestoreJournal["list"]>> | undefined>;
  /** Writes that wait for servers, by store. */
  queue(call: Call): Promise<Awaited<ReturnType<Journal["counts"]>>>;
  /** The oldest of them, at most 1,000, those that were rejected included. */
  queued(call: Call): Promise<JournalEntry[]>;
  /** @throws OpsError also for a folder of migrations that cannot be read */
  schema(call: Call, engine: EngineName): Promise<EngineSchema>;
  /** Runs a program of this host for its answer. @throws OpsError `failed` when it is not there or fails */
  ask(call: Call, file: string, args: readonly string[]): Promise<string>;
}
