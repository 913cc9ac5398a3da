import { dirname, join } from "node:path";
import { failedPart } from "./backup/failed-part.ts";
import { partNames } from "./backup/names.ts";
import type { BackupOptions, BackupPart, Catalogue, ParseFile, RunLock } from "./backup/port.ts";
import { LOCK_FILE, makeFolder } from "./backup/work.ts";
import { type Call, throwIfAborted } from "./call.ts";
import type { Config } from "./config/load.ts";
import { SHELL_SETTINGS } from "./config/settings.ts";
import {
  dataFile,
  type Limits,
  limitsOf,
  sqliteTarget,
  stateFile,
  type Target,
  type Targets,
  targetsOf,
} from "./config/targets.ts";
import { parseThresholds, type Thresholds } from "./config/thresholds.ts";
import type { Connection, Engine } from "./engines/engine.ts";
import { ENGINES } from "./engines/registry.ts";
import type { EngineName } from "./errors.ts";
import type { CheckInfo } from "./health/doctor/check.ts";
import { type BoundCheck, bind } from "./health/doctor/run.ts";
import type { EngineScope } from "./health/doctor/scope.ts";
import type { Probe, SampleStore, Statistics } from "./health/port.ts";
import type { CleanupItem, Maintenance } from "./maintain/port.ts";
import type { StoreHandle } from "./memory/breaker.ts";
import type { Journal } from "./memory/journal.ts";
import type { MemoryStore } from "./memory/port.ts";
import { Stores } from "./memory/stores.ts";
import type { MigrationTarget } from "./migrate/port.ts";
import { defaultSets } from "./migrate/sets.ts";
import type { SettingsTarget } from "./migrate/settings-port.ts";
import { refuseNewer } from "./migrate/shipped.ts";
import type { Io } from "./output/io.ts";
import type { QueryTarget, ShellCommand } from "./query/port.ts";
import type { RestoreJournal } from "./restore/journal.ts";
import type { Drilled, RestorePart, RestoreTask } from "./restore/port.ts";

/** Servers that keep the memory, in the order in which listings ask them. */
const MEMORY_SERVERS = ["neo4j", "postgres"] as const;

/**
 * What one process owns: configuration, streams and opened connections. The only place that knows both the engines and the domains, and
 * wires one into the other.
 */
export class App {
  readonly config: Config;
  readonly io: Io;
  readonly targets: Targets;
  readonly limits: Limits;
  readonly thresholds: Thresholds;
  readonly #opened = new Map<string, Promise<{ engine: Engine; connection: Connection }>>();
  readonly #scratch: Connection[] = [];
  /** Servers whose schema is known not to be newer than this program. */
  readonly #checked = new WeakSet<Connection>();
  #stores: Stores | undefined;

  constructor(config: Config, io: Io) {
    this.config = config;
    this.io = io;
    this.targets = targetsOf(config);
    this.limits = limitsOf(config);
    this.thresholds = parseThresholds(config.text("OPSCTL_THRESHOLDS"));
  }

  get dataFile(): string {
    return dataFile(this.config);
  }

  get stateFile(): string {
    return stateFile(this.config);
  }

  /** Configured engines; the embedded file counts when no server keeps the memory. */
  configured(): EngineName[] {
    const servers = (["neo4j", "postgres", "redis"] as const).filter((name) => this.targets[name]);
    return this.stores().usesServers ? servers : [...servers, "sqlite"];
  }

  /** Opens a target once; the connection itself is made by its first query. Closed with the app. */
  open(target: Target): Promise<{ engine: Engine; connection: Connection }> {
    const key = `${target.engine} ${target.url}`;
    let opened = this.#opened.get(key);
    if (!opened) {
      opened = this.#connect(target);
      this.#opened.set(key, opened);
    }
    return opened;
  }

  /** Where `init` and `migrate` go for an engine; undefined: not configured. */
  migrationTarget(engine: EngineName): Target | undefined {
    return (engine === "postgres" ? this.targets.migration : undefined) ?? this.targets[engine];
  }

  async migrations(target: Target): Promise<MigrationTarget | undefined> {
    const { engine, connection } = await this.open(target);
    return engine.capabilities.migrations?.(connection);
  }

  async settings(target: Target): Promise<SettingsTarget | undefined> {
    const { engine, connection } = await this.open(target);
    return engine.capabilities.settings?.(connection);
  }

  async probe(target: Target): Promise<Probe> {
    const { engine, connection } = await this.open(target);
    return engine.capabilities.probe!(connection);
  }

  async statistics(target: Target): Promise<Statistics> {
    const { engine, connection } = await this.open(target);
    const root = this.config.text("OPSCTL_HOST_ROOT")!;
    return engine.capabilities.statistics!(
      connection,
      { target, limits: this.limits },
      this.thresholds,
      root,
    );
  }

  /** What can be wrong with an engine, configured or not. */
  async listChecks(name: EngineName): Promise<readonly CheckInfo[]> {
    return (await ENGINES[name]()).capabilities.checks!();
  }

  /** What can be wrong with a target. Connects when they run. */
  async checks(target: Target): Promise<BoundCheck[]> {
    const { engine, connection } = await this.open(target);
    const scope: EngineScope<Connection> = {
      connection,
      target,
      limits: this.limits,
      thresholds: this.thresholds,
      root: this.config.text("OPSCTL_HOST_ROOT")!,
    };
    return (await engine.capabilities.checks!()).map((check) => bind(check, scope));
  }

  async maintenance(target: Target): Promise<Maintenance> {
    const { engine, connection } = await this.open(target);
    return engine.capabilities.maintenance!(connection, { target, limits: this.limits }, this.thresholds);
  }

  async query(target: Target): Promise<QueryTarget> {
    const { engine, connection } = await this.open(target);
    return engine.capabilities.query!(connection, { target, limits: this.limits });
  }

  /** The engine's own shell, connected to the target. */
  async shell(target: Target): Promise<ShellCommand> {
    const setting = SHELL_SETTINGS[target.engine];
    return (await ENGINES[target.engine]()).capabilities.shell!(target, this.config.text(setting));
  }

  /** What runs that are over left on a server. */
  async leftovers(call: Call, target: Target, kept: readonly string[]): Promise<CleanupItem[]> {
    const { engine, connection } = await this.open(target);
    const origin = { target, limits: this.limits };
    return (await engine.capabilities.leftovers?.(call, connection, origin, kept)) ?? [];
  }

  /** The samples of this host. */
  async samples(): Promise<SampleStore> {
    const { connection } = await this.open(sqliteTarget(this.stateFile));
    const { sqliteSamples } = await import("./engines/sqlite/samples.ts");
    return sqliteSamples(connection as Parameters<typeof sqliteSamples>[0]);
  }

  /**
   * The parts of an engine's target. An engine that does not answer even now is a part that fails.
   * @param files SQLite: which, absolute
   */
  async backupParts(
    call: Call,
    name: EngineName,
    options: BackupOptions,
    files: readonly string[],
  ): Promise<BackupPart[]> {
    if (name !== "sqlite") return this.#partsOf(call, this.targets.backup[name]!, options);
    const names = partNames(files);
    const parts = files.map((path, at) =>
      this.#partsOf(call, this.sqliteFile(path), { ...options, sqlite: { name: names[at] } }),
    );
    return (await Promise.all(parts)).flat();
  }

  async #partsOf(call: Call, target: Target, options: BackupOptions): Promise<BackupPart[]> {
    try {
      const { engine, connection } = await this.open(target);
      return await engine.capabilities.backup!(call, connection, options, { target, limits: this.limits });
    } catch (error) {
      throwIfAborted(call);
      return [failedPart(target.engine, target.database ?? target.shown, target.shown, error)];
    }
  }

  /** Reads an engine's files of a set. */
  async backupParser(name: EngineName): Promise<ParseFile> {
    return (await ENGINES[name]()).capabilities.parseBackup!();
  }

  /** The text that makes a user for backups. */
  async backupGrants(name: EngineName): Promise<string> {
    const databases = this.config.text("OPSCTL_BACKUP_DATABASES")?.split(",") ?? [];
    return (await (await ENGINES[name]()).capabilities.backupGrants?.(this.targets[name], databases)) ?? "";
  }

  /** Held by whoever writes or removes archives of a folder. @throws OpsError `locked` */
  async backupLock(call: Call, folder: string): Promise<RunLock> {
    const { acquireLock } = await import("./engines/sqlite/lock-file.ts");
    return acquireLock(join(folder, LOCK_FILE), call.actor);
  }

  /** Held by whoever writes a single file, wherever that is. @throws OpsError `locked` */
  async hostLock(call: Call): Promise<RunLock> {
    const { acquireLock } = await import("./engines/sqlite/lock-file.ts");
    const folder = dirname(this.stateFile);
    makeFolder(folder);
    return acquireLock(join(folder, LOCK_FILE), call.actor);
  }

  /** The archives that this host made. */
  async catalogue(): Promise<Catalogue> {
    const { connection } = await this.open(sqliteTarget(this.stateFile));
    const { sqliteCatalogue } = await import("./engines/sqlite/catalogue.ts");
    return sqliteCatalogue(connection as Parameters<typeof sqliteCatalogue>[0]);
  }

  /** The parts of one target, for the copy of what a restore is about to replace. */
  safetyParts(call: Call, target: Target, options: BackupOptions): Promise<BackupPart[]> {
    return this.#partsOf(call, target, options);
  }

  /** A part of a set on its way into a target. */
  async restorePart(target: Target, task: RestoreTask): Promise<RestorePart> {
    const engine = await ENGINES[target.engine]();
    return engine.capabilities.restore!(task, { target, limits: this.limits });
  }

  /** Restores a part where nothing else is. */
  async drillPart(call: Call, name: EngineName, task: RestoreTask): Promise<Drilled> {
    const engine = await ENGINES[name]();
    const target = name === "neo4j" || name === "postgres" ? this.targets.drill[name] : undefined;
    return engine.capabilities.drill!(call, task, target, this.limits, this.targets[name]);
  }

  /** The restores of this host. */
  async restoreJournal(): Promise<RestoreJournal> {
    const { connection } = await this.open(sqliteTarget(this.stateFile));
    const { sqliteRestoreJournal } = await import("./engines/sqlite/restore-journal.ts");
    return sqliteRestoreJournal(connection as Parameters<typeof sqliteRestoreJournal>[0]);
  }

  /** Where a restore of an engine goes to. A user who backs up may not restore. */
  restoreTarget(engine: EngineName): Target | undefined {
    return this.migrationTarget(engine);
  }

  /** The target that a SQLite file is: one of another program is opened as it is. */
  sqliteFile(path: string): Target {
    return path === this.dataFile ? this.targets.sqlite : { ...sqliteTarget(path), foreign: true };
  }

  /** The stores of the memory: the configured servers through the journal, or the embedded file. */
  stores(): Stores {
    this.#stores ??= new Stores({
      servers: MEMORY_SERVERS.flatMap((name) => {
        const target = this.targets[name];
        return target ? [this.#handle(target)] : [];
      }),
      embedded: this.#handle(this.targets.sqlite),
      journal: this.#journal(),
      scratch: () => this.#scratchStore(),
    });
    return this.#stores;
  }

  /** The embedded file as a store, also when servers are configured. */
  embedded(call: Call): Promise<MemoryStore> {
    return this.#memory(this.targets.sqlite, call);
  }

  /** Closes what was opened; failures to close are logged, never thrown. */
  async close(): Promise<void> {
    const connections = await Promise.all(
      [...this.#opened.values()].map((opened) =>
        opened.then(({ connection }) => connection).catch(() => undefined),
      ),
    );
    await Promise.all(
      [...connections, ...this.#scratch].map((connection) =>
        connection?.close().catch((error: unknown) => {
          this.io.log("DEBUG", "closing a connection failed", { reason: String(error) });
        }),
      ),
    );
  }

  async #connect(target: Target) {
    const engine = await ENGINES[target.engine]();
    return { engine, connection: await engine.connect(target, this.limits) };
  }

  #handle(target: Target): StoreHandle {
    return { engine: target.engine, identity: target.identity, open: (call) => this.#memory(target, call) };
  }

  async #memory(target: Target, call: Call): Promise<MemoryStore> {
    const { engine, connection } = await this.open(target);
    // the embedded file checks itself, because it also upgrades itself
    if (engine.name !== "sqlite" && !this.#checked.has(connection)) {
      const history = await (await engine.capabilities.migrations!(connection)).history(call);
      for (const set of defaultSets(engine.name)) refuseNewer(history, set, target.shown);
      this.#checked.add(connection);
    }
    return engine.capabilities.memory!(connection);
  }

  /** Loaded on first use: reads of the embedded file never need it. */
  #journal(): Journal {
    let journal: Promise<Journal> | undefined;
    const load = () => {
      journal ??= (async () => {
        const { connection } = await this.open(sqliteTarget(this.stateFile));
        const { sqliteJournal } = await import("./engines/sqlite/journal.ts");
        return sqliteJournal(connection as Parameters<typeof sqliteJournal>[0]);
      })();
      return journal;
    };
    return {
      isEmpty: async () => (await load()).isEmpty(),
      append: async (...args) => (await load()).append(...args),
      deliverable: async (...args) => (await load()).deliverable(...args),
      remaining: async (...args) => (await load()).remaining(...args),
      waiting: async (...args) => (await load()).waiting(...args),
      delivered: async (...args) => (await load()).delivered(...args),
      failed: async (...args) => (await load()).failed(...args),
      readdress: async (...args) => (await load()).readdress(...args),
      counts: async (...args) => (await load()).counts(...args),
      entry: async (...args) => (await load()).entry(...args),
      list: async (...args) => (await load()).list(...args),
      drop: async (...args) => (await load()).drop(...args),
    };
  }

  async #scratchStore(): Promise<MemoryStore> {
    const { sqlite } = await import("./engines/sqlite/engine.ts");
    const connection = await sqlite.connect(sqliteTarget(":memory:"), this.limits);
    this.#scratch.push(connection);
    return sqlite.capabilities.memory!(connection);
  }
}
