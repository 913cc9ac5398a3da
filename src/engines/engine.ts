import type { BackupOptions, BackupPart, ParseFile } from "../backup/port.ts";
import type { Call } from "../call.ts";
import type { Limits, Target } from "../config/targets.ts";
import type { Thresholds } from "../config/thresholds.ts";
import type { EngineName } from "../errors.ts";
import type { Check } from "../health/doctor/check.ts";
import type { EngineScope } from "../health/doctor/scope.ts";
import type { Probe, Statistics } from "../health/port.ts";
import type { CleanupItem, Maintenance } from "../maintain/port.ts";
import type { MemoryStore } from "../memory/port.ts";
import type { MigrationTarget } from "../migrate/port.ts";
import type { SettingsTarget } from "../migrate/settings-port.ts";
import type { QueryTarget, ShellCommand } from "../query/port.ts";
import type { Drilled, RestorePart, RestoreTask } from "../restore/port.ts";

export interface Connection {
  close(): Promise<void>;
}

/** Where connections are made to. */
export interface Origin {
  target: Target;
  limits: Limits;
}

/**
 * One database product. `connect` opens nothing: the first query does, so that a command which never asks a store never waits for it.
 * A capability is a lazy import (written as a method, so that engines of different connections fit one registry) that turns a connection into an implementation of a domain's port.
 */
export interface Engine<C extends Connection = Connection> {
  readonly name: EngineName;
  readonly title: string;
  connect(target: Target, limits: Limits): Promise<C>;
  readonly capabilities: {
    /**
     * The parts that a target has: several databases are several parts. Asks the server only where it must.
     * @param origin where the connection leads: parts make others
     */
    backup?(call: Call, connection: C, options: BackupOptions, origin: Origin): Promise<BackupPart[]>;
    /**
     * What an administrator runs, so that a user exists who may do no more than back up.
     * @param target undefined: none is configured, the text has a name to replace
     */
    backupGrants?(target: Target | undefined, databases: readonly string[]): Promise<string>;
    /** Reads the files that its parts wrote, without a server. */
    parseBackup?(): Promise<ParseFile>;
    /**
     * A part of a set on its way into a target. Connects when its methods are called.
     * @param origin where it goes
     */
    restore?(task: RestoreTask, origin: Origin): Promise<RestorePart>;
    /**
     * Restores a part where nothing else is: in a scratch database, a server of its own, a file. Leaves nothing of it.
     * @param target undefined: no server is configured for it; what needs one is read to its end then
     * @param live what must not be taken for a scratch server
     * @throws OpsError `unreachable` and the like for a scratch target that does not answer; what is wrong with the files is in the result
     */
    drill?(
      call: Call,
      task: RestoreTask,
      target: Target | undefined,
      limits: Limits,
      live: Target | undefined,
    ): Promise<Drilled>;
    memory?(connection: C): Promise<MemoryStore>;
    migrations?(connection: C): Promise<MigrationTarget>;
    probe?(connection: C): Promise<Probe>;
    settings?(connection: C): Promise<SettingsTarget>;
    /**
     * What it counts, for `stats` and the metrics.
     * @param root where the host's file system begins
     */
    statistics?(connection: C, origin: Origin, thresholds: Thresholds, root: string): Promise<Statistics>;
    /** What can be wrong with it, for `doctor`. */
    checks?(): Promise<readonly Check<EngineScope<C>>[]>;
    maintenance?(connection: C, origin: Origin, thresholds: Thresholds): Promise<Maintenance>;
    query?(connection: C, origin: Origin): Promise<QueryTarget>;
    /** @param program how it is called here, where a setting says so */
    shell?(target: Target, program: string | undefined): Promise<ShellCommand>;
    /**
     * What runs of opsctl that are over left on the server: scratch databases of drills and restores whose holder is gone. Never what a
     * live run uses, or an unfinished restore needs.
     * @param kept names that an unfinished restore still needs
     */
    leftovers?(call: Call, connection: C, origin: Origin, kept: readonly string[]): Promise<CleanupItem[]>;
  };
}
