import type { Call } from "../call.ts";

export interface MaintenanceOptions {
  /** All tables, indexes and files, not only those where it pays. */
  all: boolean;
}

/** One piece of maintenance. Planned first; run only when the operator (or cron, with --yes) said so. */
export interface MaintenanceTask {
  /** `vacuum`, `reindex`, `checkpoint`, `aof-rewrite` … */
  kind: string;
  /** `public.orders`, `/path/data.db`. */
  subject: string;
  /** Why it is worth it, with figures. */
  why: string;
  /** What is sent to the server, as a person may read it. */
  statement: string;
  /** What it may take: bytes that are read or rewritten; null: not known. */
  work_bytes: number | null;
  /**
   * Runs it within the call's deadline: at the deadline the server is told to stop and nothing is left half done (an invalid index of a
   * broken-off REINDEX CONCURRENTLY is dropped again).
   * @throws OpsError
   */
  run(call: Call): Promise<{ freed_bytes: number | null; note: string | null }>;
}

export interface Maintenance {
  /** What would be done, most useful first. Looks only. */
  plan(call: Call, options: MaintenanceOptions): Promise<MaintenanceTask[]>;
}

/** Something of ours that is left or has had its time. */
export interface CleanupItem {
  /** `sample`, `scratch database x`: what a person reads. */
  subject: string;
  why: string;
  /** How many things it stands for: 1, or the rows of a table. */
  count: number;
  size_bytes: number | null;
  /** Takes it away; a thing that is gone meanwhile is no error. */
  remove(call: Call): Promise<void>;
}

/** One kind of thing that `cleanup` takes away. A new kind is a file and a line in the list of kinds. */
export interface CleanupKind {
  /** `archives`, `samples`, `scratch_databases` … a key of the JSON. */
  kind: string;
  title: string;
  /** Looks only. @throws OpsError where it cannot look: the other kinds go on */
  find(call: Call): Promise<CleanupItem[]>;
}
