import type { Call } from "../../call.ts";

export type Severity = "info" | "warning" | "error";

/** Where a check looks; the groups of `doctor --list`. */
export type Area = "postgres" | "neo4j" | "redis" | "sqlite" | "host" | "stack" | "backup" | "docker";

/** A command that mends something, as words: printed for a shell, run without one. */
export interface Remedy {
  /** `["opsctl", "query", "postgres", "REINDEX INDEX CONCURRENTLY a", "--write"]`, `["chmod", "600", "/path"]`. Never a secret. */
  argv: readonly string[];
  /**
   * It loses nothing, stops nobody's work and can be run at any time: `doctor --fix` may run it after asking. Only what that holds for;
   * ending a session, dropping an index and a change of memory settings are not.
   */
  safe: boolean;
}

/** What is wrong, in the words of an operator who was paged. */
export interface Found {
  severity: Severity;
  /** What it is about: `index public.orders_idx`, `/var/lib/opsctl/data.db`, `session 4711`. */
  subject: string;
  /** What was seen, with the figures and their units: `97.2 % of 100 connections are in use`. */
  evidence: string;
  /** Why that is so, or what it leads to. */
  cause: string;
  /** What mends it, in this order; empty when no single command does: then `advice` says what to do. */
  remedies: readonly Remedy[];
  advice?: string;
}

/** One thing that can be wrong. One small file each, with a test that plants it, finds it, mends it and sees it gone. */
export interface Check<Scope> {
  /** `postgres-invalid-index`: the area, and what is wrong. Never changes: scripts name it. */
  id: string;
  area: Area;
  /** What is wrong when it finds something, in a few words. */
  title: string;
  /** What it looks at: `pg_index.indisvalid`, `/proc/sys/vm/overcommit_memory`. */
  looks: string;
  /** @throws Unknowable where it is not allowed to look; OpsError for a server that stopped answering */
  run(call: Call, scope: Scope): Promise<Found[]>;
}

/** What a check is about, without running it. */
export type CheckInfo = Pick<Check<unknown>, "id" | "area" | "title" | "looks">;

/** Something cannot be known here: a privilege is missing, a file cannot be read, an edition has no such thing. No failure: it is said. */
export class Unknowable extends Error {
  /** What would make it known. */
  readonly hint: string | undefined;

  constructor(reason: string, hint?: string) {
    super(reason);
    this.name = "Unknowable";
    this.hint = hint;
  }
}
