import type { FileKind } from "../backup/port.ts";
import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";

/** A file of a set, out of its container: its size and digest were compared with the metadata. */
export interface RestoreFile {
  /** In the set: `postgres/app.dump`. */
  path: string;
  kind: FileKind;
  size_bytes: number;
  /** Where it lies, absolute. It is not to be changed, nor removed. */
  local: string;
}

/** What a part keeps for another process, in the journal. No secrets. */
export type Saved = Readonly<Record<string, string | number | boolean | null>>;

/** How, for those engines that can do it in several ways. */
export interface RestoreOptions {
  /** Processes of pg_restore. */
  jobs: number;
  redis: {
    /** `auto`: as the server's master, and by RESTORE commands where that is refused. */
    method: "auto" | "replica" | "commands";
    /** `host:port` or `host` by which the server reaches this program; undefined: the address that this host has towards it, any port. */
    listen?: string | undefined;
    /** How redis-server is called here: for drills. */
    server: string;
  };
  neo4j: {
    /** Commands of the operator, for archives that hold a dump. */
    stop?: string | undefined;
    start?: string | undefined;
    /** How neo4j-admin and cypher-shell are called here. */
    admin: string;
    cypherShell: string;
  };
}

/** One part of a set, on its way into a target. */
export interface RestoreTask {
  /** Of the restore: eight digits of [0-9a-f]. What is made beside the live data has it in its name: `app__opsctl_1a2b3c4d`. */
  id: string;
  /** What is restored: a PostgreSQL database's name in the target, `globals`, the name of a SQLite file, a Neo4j database. */
  name: string;
  /** For `rollback`, `abandon` and `forget` only their kinds are known: `local` is empty then. */
  files: readonly RestoreFile[];
  /** What the metadata says that the files hold; empty for what has no metadata of ours. */
  expected: { counts: Readonly<Record<string, number>>; breakdown: Readonly<Record<string, number>> };
  /** Of the server that the files come from; null: not known. */
  serverVersion: string | null;
  /** This host made the archive, or our key signed it. Else somebody may have made it who knows how a server is harmed. */
  isOurs: boolean;
  /** A private folder of the part (0700), empty at first. It stays until the restore is forgotten. */
  work: string;
  /** What the part saved before, in this process or in another: `{}` at first. */
  saved: Saved;
  /** Writes into the journal; it is on the disk when this resolves. Replaces what was saved before. */
  save(call: Call, saved: Saved): Promise<void>;
  options: RestoreOptions;
}

/** What a restore is going to do. Nothing was touched yet. */
export interface RestorePlan {
  server_version: string | null;
  /** What is there now and will be replaced, in words: `41 tables, 9.1 MB`, `nothing`. */
  overwrites: string;
  /** In words: `pg_restore into a database beside it, then swapped by renaming`. */
  how: string;
  /**
   * What going back means. `kept`: the part keeps what it replaces, and `rollback` swaps it back. `safety`: a backup of the target is made
   * before, and restored. `empty`: nothing is there; `rollback` empties the target again. `none`: it only adds (roles), and going back leaves that.
   */
  undo: Undo;
  /** Bytes that it needs beside the live data, on which path of this host; null: the server's disk, which is not seen from here. */
  needs: { bytes: number; path: string | null };
  /** What an operator should know: a line each. */
  notes: string[];
}

export const UNDOS = ["kept", "safety", "empty", "none"] as const;
export type Undo = (typeof UNDOS)[number];

/** The data are live. */
export interface Swapped {
  /** How it was done, in words, where there are several ways: `as a replica`, `by RESTORE commands, because …`. */
  how: string;
  /** For how long clients were refused or saw neither the old nor the new data; null: not known. ms */
  outage_ms: number | null;
  notes: string[];
}

/** What a target holds. */
export interface Found {
  /** Under the names of the metadata. */
  counts: Record<string, number>;
  breakdown: Record<string, number>;
  /**
   * What is wrong, a sentence each: an amount that is not that of the metadata (`differences`, where nothing explains it: a key may have
   * expired meanwhile), an index that is not valid, a digest that differs.
   */
  problems: string[];
  notes: string[];
}

/**
 * One part of a restore. In order: `plan`, `prepare` of all parts side by side (the live data are untouched and in use), then the operator's stop
 * command and the safety backup, then `swap` of all, `verify`, and the start command. `close` in any case.
 *
 * Every method may be called by another process than the one before, which died at any point in it, with the `saved` of its last `save`; and
 * every method may be repeated. What it makes beside the live data has the restore's id in its name.
 * All throw OpsErrors with the engine; `integrity` for what the files are to blame for, `unreachable` and `auth` as everywhere, `failed` with a
 * hint for a target that cannot take them (older server, missing extension, no privilege).
 */
export interface RestorePart {
  readonly engine: EngineName;
  readonly name: string;
  /** Where it goes, without secrets. */
  readonly target: string;
  /** Other parts of its engine need it first (roles). */
  readonly isFirst: boolean;
  /** `swap` has begun to change the live data, in this process or, as far as `saved` tells, in another; `rollback` makes it false again. */
  readonly isTouched: boolean;
  /** Asks the target, changes nothing. Everything that can be refused is refused here. */
  plan(call: Call): Promise<RestorePlan>;
  /** Everything that leaves the live data alone: loads and checks beside them, or reads the files to their end. Begins anew when repeated. */
  prepare(call: Call): Promise<void>;
  /** Makes them the live data. Repeated after a kill it goes on, or does it again; what was swapped already stays. */
  swap(call: Call): Promise<Swapped>;
  /** What the target holds now. */
  verify(call: Call): Promise<Found>;
  /**
   * Asks whether going back can begin: the target answers, and for `kept` and `empty` what `rollback` needs is there. Changes nothing.
   * @throws OpsError `failed` for what is gone, naming it; `unreachable` and the like
   */
  requireWayBack(call: Call): Promise<void>;
  /** `kept` and `empty`: brings back what was there before `swap`, also after half of it. What was never swapped stays. */
  rollback(call: Call): Promise<void>;
  /** Removes what `prepare` made and `swap` did not use. The live data are not touched. */
  abandon(call: Call): Promise<void>;
  /** `kept`: removes what it kept; there is no way back then. */
  forget(call: Call): Promise<void>;
  /** Connections and child processes. Never throws for a lost server. */
  close(): Promise<void>;
}

/** What a drill of a part found. */
export interface Drilled extends Found {
  /** False: its files were read to their end, and no server loaded them. */
  loaded: boolean;
  /** Where: `database app__opsctl_drill_1a2b3c4d on localhost:5432`, `a redis-server of its own, 7.0.15`. */
  where: string;
}
