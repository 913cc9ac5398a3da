/** Which files go where: the arguments of the subcommands of `migrate` as sources and targets. */
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { sqliteTarget, type Target } from "../config/targets.ts";
import { type EngineName, OpsError, usageError } from "../errors.ts";
import { FORMATS, type Format, type MigrationTarget } from "../migrate/port.ts";
import { setsOf, stateSets } from "../migrate/sets.ts";
import { folderSource, type Source, shippedSource, USER_SET } from "../migrate/source.ts";
import { suggest } from "../suggest.ts";
import type { Context } from "./command.ts";
import { engineNames, requireConfigured } from "./engines.ts";

export interface SourceOptions {
  dir?: string;
  format?: string;
  set?: string;
  database?: string;
}

/** Something that has a history of migrations. */
export interface Store {
  engine: EngineName;
  target: Target;
  open(): Promise<MigrationTarget>;
}

/** One source and the store it goes to. */
export interface Job extends Store {
  source: Source;
}

const NAMES: readonly EngineName[] = ["neo4j", "postgres", "redis", "sqlite"];

/**
 * A job for each engine asked for; nothing asked for: each engine that has files and is configured.
 * @throws OpsError `usage`: options that contradict each other, nothing to work on, a folder that cannot be read
 */
export function jobsOf(context: Context, given: readonly string[], options: SourceOptions): Job[] {
  const { set = USER_SET, database } = options;
  refuseEmpty(options);
  const names = enginesOf(context, given, options);
  if (set !== USER_SET) checkSet(set, names, options);
  for (const name of names) requireConfigured(context, name);
  if (options.dir !== undefined && names.length !== 1) {
    throw usageError(
      "--dir names the files of one engine",
      "name the engine, for example: opsctl migrate up postgres --dir db",
    );
  }
  if (database !== undefined && names.some((name) => name !== "sqlite")) {
    throw usageError(
      "--database names a SQLite file",
      "name the engine: opsctl migrate up sqlite --database app.db",
    );
  }
  return names.map((engine) => {
    const source = set === USER_SET ? userSource(context, engine, options) : shippedSource(engine, set);
    const flags = [source.flags ?? "", ...flagsOf(options)].filter((flag) => flag !== "").join(" ");
    const store = storeOf(context, engine, database);
    return { ...store, source: { ...source, flags, store: store.target.shown } };
  });
}

/** A variable that is not set in a script must not become the working directory. */
export function refuseEmpty({ dir, database }: Pick<SourceOptions, "dir" | "database">): void {
  if (dir === "") throw usageError("--dir is empty", "name the folder of the files");
  if (database === "") throw usageError("--database is empty", "name a SQLite file");
}

/** The flags of a command line, for the commands in hints, as a shell takes them. */
function flagsOf({ dir, format, database }: SourceOptions): string[] {
  const quoted = (text: string) =>
    /^[\w./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  return [
    dir === undefined ? "" : `--dir ${quoted(dir)}`,
    format === undefined || format === "auto" ? "" : `--format ${quoted(format)}`,
    database === undefined ? "" : `--database ${quoted(database)}`,
  ];
}

/** The one job of a subcommand that works on one engine. @throws OpsError `usage` also when several could be meant */
export function singleJob(context: Context, given: readonly string[], options: SourceOptions): Job {
  const jobs = jobsOf(context, given, options);
  const [job, ...more] = jobs;
  if (job && more.length === 0) return job;
  const names = jobs.map(({ source }) => source.engine);
  throw usageError(`several engines have files (${names.join(", ")})`, "name one of them");
}

/** The stores themselves; none asked for: what is configured, and what has files. */
export function storesOf(context: Context, given: readonly string[], database?: string): Store[] {
  refuseEmpty({ database });
  if (database !== undefined) return [storeOf(context, "sqlite", database)];
  const { app } = context;
  const withFiles = NAMES.filter((name) => app.migrationTarget(name) && existsSync(folderOf(context, name)));
  const names =
    given.length === 0
      ? [...new Set([...app.configured(), ...withFiles])]
      : engineNames(given, app.configured());
  for (const name of names) requireConfigured(context, name);
  return NAMES.filter((name) => names.includes(name)).map((name) => storeOf(context, name, undefined));
}

/** The shipped sets of the stores, for `status --all`. */
export function shippedJobs(stores: readonly Store[]): Job[] {
  return stores.flatMap((store) =>
    setsOf(store.engine).map(({ set }) => ({ ...store, source: shippedSource(store.engine, set) })),
  );
}

function storeOf({ app }: Context, engine: EngineName, database: string | undefined): Store {
  const target =
    database === undefined
      ? app.migrationTarget(engine)!
      : { ...sqliteTarget(resolve(app.config.cwd, database)), foreign: true };
  return {
    engine,
    target,
    async open() {
      const migrations = await app.migrations(target);
      if (migrations) return migrations;
      throw new OpsError({ code: "failed", engine, message: `${engine} has no migrations` });
    },
  };
}

function enginesOf(context: Context, given: readonly string[], options: SourceOptions): EngineName[] {
  const { app } = context;
  if (given.length > 0 && !given.includes("all")) return engineNames(given, NAMES);
  if (options.database !== undefined) return onlySqlite(context, given);
  if (options.set !== undefined && options.set !== USER_SET) return enginesWithSet(context, options.set);
  if (options.dir !== undefined) return oneConfigured(context);
  const withFiles = NAMES.filter((name) => existsSync(folderOf(context, name)));
  const [found, missing] = split(withFiles, (name) => app.migrationTarget(name) !== undefined);
  for (const name of missing) {
    context.io.note(`warning: ${shownFolder(context, name)} is left alone: ${name} is not configured`);
  }
  if (found.length > 0) return found;
  throw usageError(
    `there are no migrations: ${relativePath(context, migrationsFolder(context))} has no folder of a configured engine`,
    'opsctl migrate new postgres "create users" makes the first file; --dir names another folder',
  );
}

/** `--database` means SQLite: what else has files is left alone, and nobody shall believe that it was migrated. */
function onlySqlite(context: Context, given: readonly string[]): EngineName[] {
  if (given.length > 0) {
    throw usageError(
      "--database names a SQLite file, and all engines are asked for",
      "name sqlite, or leave --database out",
    );
  }
  for (const name of NAMES.filter((one) => one !== "sqlite" && existsSync(folderOf(context, one)))) {
    context.io.note(`warning: ${shownFolder(context, name)} is left alone: --database is about sqlite`);
  }
  return ["sqlite"];
}

function enginesWithSet({ app }: Context, set: string): EngineName[] {
  const known = enginesOfSet(set);
  const configured = known.filter((name) => app.configured().includes(name));
  return configured.length > 0 ? configured : known.slice(0, 1);
}

/** The engines that a shipped set is for. @throws OpsError `usage` when there is no such set */
function enginesOfSet(set: string): EngineName[] {
  const known = NAMES.filter((name) => setsOf(name).some((shipped) => shipped.set === set));
  if (known.length > 0) return known;
  const names = [...new Set(NAMES.flatMap((name) => setsOf(name).map((shipped) => shipped.set)))];
  const isState = stateSets().some((shipped) => shipped.set === set);
  throw usageError(
    isState ? `the set "${set}" belongs to opsctl's state file` : `--set: there is no shipped set "${set}"`,
    suggest(set, names) ?? `use ${names.join(", ")}`,
  );
}

/** @throws OpsError `usage` for a set that is none, or not one of these engines, and for a folder beside a set */
function checkSet(set: string, names: readonly EngineName[], { dir }: SourceOptions): void {
  const known = enginesOfSet(set);
  const other = names.find((name) => !known.includes(name));
  if (other !== undefined) {
    throw usageError(`--set: ${other} has no set "${set}"`, `it is for ${known.join(" and ")}`);
  }
  if (dir === undefined) return;
  throw usageError(`--set ${set} and --dir are both given`, "give one of them: a set has its own files");
}

/** With --dir the engine may be left out when there is no choice. */
function oneConfigured({ app }: Context): EngineName[] {
  const servers = app.configured().filter((name) => name !== "sqlite");
  if (servers.length <= 1) return servers.length === 1 ? servers : ["sqlite"];
  throw usageError(
    `several engines are configured (${servers.join(", ")})`,
    "name the one that --dir is for",
  );
}

function userSource(context: Context, engine: EngineName, { dir, format = "auto" }: SourceOptions): Source {
  const place = dir === undefined ? folderOf(context, engine) : resolve(context.app.config.cwd, dir);
  return folderSource(engine, place, dir ?? shownFolder(context, engine), formatOf(format));
}

/** @throws OpsError `usage` for an unknown format */
export function formatOf(text: string): Format | "auto" {
  const known = FORMATS.find((format) => format === text);
  if (known) return known;
  if (text === "auto") return "auto";
  const names = [...FORMATS, "auto"];
  throw usageError(`--format: "${text}" is no format`, suggest(text, names) ?? `use ${names.join(", ")}`);
}

function migrationsFolder({ app }: Context): string {
  return resolve(app.config.cwd, app.config.text("OPSCTL_MIGRATIONS")!);
}

/** Where an engine's files are unless --dir says otherwise. */
export function folderOf(context: Context, engine: EngineName): string {
  return join(migrationsFolder(context), engine);
}

export function shownFolder(context: Context, engine: EngineName): string {
  return relativePath(context, folderOf(context, engine));
}

function relativePath({ app }: Context, path: string): string {
  const shown = relative(app.config.cwd, path);
  return shown === "" ? "." : shown.startsWith("..") ? path : shown;
}

function split<T>(values: readonly T[], test: (value: T) => boolean): [T[], T[]] {
  return [values.filter(test), values.filter((value) => !test(value))];
}
