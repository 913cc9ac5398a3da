/** What the flags of `backup create` ask for. */
import { lstatSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { sidecarPath } from "../backup/archives.ts";
import { type Container, LEVELS, type Level, parseSidecar, type Sidecar } from "../backup/metadata.ts";
import { requireName } from "../backup/names.ts";
import type { BackupOptions, FileKind } from "../backup/port.ts";
import { readSmallFile } from "../backup/small-file.ts";
import { type EngineName, usageError } from "../errors.ts";
import type { Context } from "./command.ts";
import { engineNames, requireConfigured } from "./engines.ts";

export interface CreateOptions {
  output?: string;
  dir?: string;
  name?: string;
  format?: string;
  databases?: string;
  sqlite?: string[];
  freeze: string;
  freezeTimeout?: number;
  neo4jMethod: string;
  redisMethod: string;
  requireConsistent?: boolean;
  encryptTo?: string[];
  verify: string;
  retention: boolean;
}

const SUBCOMMANDS = ["create", "list", "show", "verify", "drill", "diff", "grants", "schedule"];

/** What the flags are when nobody gives them. */
export const DEFAULTS: Readonly<CreateOptions> = {
  freeze: "never",
  neo4jMethod: "export",
  redisMethod: "auto",
  verify: "checksums",
  retention: true,
};

/** Writers of Neo4j wait no longer for a backup. */
const FREEZE_MS = 30_000;

/** Where the archive goes, and as what. */
export interface Destination {
  folder: string;
  container: Container;
  name: string | undefined;
  /** Of a single file: what it is. */
  kind: FileKind | undefined;
  /** --output names the file. */
  isNamed: boolean;
}

/** Leaves room for what is added to it while it is written. */
const MAX_FILE_NAME = 200;

/** Endings of one engine's own file. */
const KINDS: readonly { ending: string; engine: EngineName; kind: FileKind }[] = [
  { ending: ".dump", engine: "postgres", kind: "postgres-custom" },
  { ending: ".sql", engine: "postgres", kind: "postgres-plain" },
  { ending: ".rdb", engine: "redis", kind: "redis-rdb" },
  { ending: ".db", engine: "sqlite", kind: "sqlite-database" },
  { ending: ".sqlite", engine: "sqlite", kind: "sqlite-database" },
  { ending: ".sqlite3", engine: "sqlite", kind: "sqlite-database" },
  { ending: ".ndjson", engine: "neo4j", kind: "neo4j-ndjson" },
  { ending: ".cypher", engine: "neo4j", kind: "neo4j-cypher" },
];
const ARCHIVES: readonly { ending: string; container: Container }[] = [
  { ending: ".tar.gz", container: "tar.gz" },
  { ending: ".tar.zst", container: "tar.zst" },
];

/** @throws OpsError `usage` for flags that contradict one another, and for a path that cannot be meant */
export function destinationOf(
  context: Context,
  options: CreateOptions,
  engines: readonly EngineName[],
): Destination {
  const format = oneOf("--format", options.format, ["tar.gz", "tar.zst", "dir"] as const);
  const folder = resolve(options.dir ?? context.app.config.text("OPSCTL_BACKUPS")!);
  if (options.dir === "") throw usageError("--dir is empty", "name a folder");
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === false)
    throw usageError(`${folder} is no folder`, "name the folder of the archives with --dir");
  if (options.name !== undefined) requireName(options.name);
  const set = { container: format ?? "tar.gz", name: options.name, kind: undefined, isNamed: false } as const;
  const { output } = options;
  if (output === undefined) return { folder, ...set };
  if (options.dir !== undefined) throw usageError("--output and --dir both say where", "use one of them");
  if (output === "") throw usageError("--output is empty", "name a folder or a file");
  const path = resolve(output);
  if (output.endsWith("/") || statSync(path, { throwIfNoEntry: false })?.isDirectory())
    return { folder: path, ...set };
  return fileDestination(path, output, options, engines);
}

function fileDestination(
  path: string,
  output: string,
  options: CreateOptions,
  engines: readonly EngineName[],
): Destination {
  const folder = dirname(path);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
    throw usageError(`--output: the folder ${folder} does not exist`, "create it, or check the path");
  const contradiction = (["name", "format"] as const).find((flag) => options[flag] !== undefined);
  if (contradiction)
    throw usageError(
      `--output names a file, and --${contradiction} is given too`,
      `leave --${contradiction} out`,
    );
  const archive = ARCHIVES.find(({ ending }) => path.endsWith(ending));
  if (archive) {
    const name = basename(path).slice(0, -archive.ending.length);
    requireName(name);
    return { folder, container: archive.container, name, kind: undefined, isNamed: true };
  }
  const known = KINDS.filter(({ ending }) => path.endsWith(ending));
  if (known.length === 0) {
    const endings = [...ARCHIVES, ...KINDS].map(({ ending }) => ending).join(" ");
    throw usageError(
      `--output: nothing is known of files such as "${output}"`,
      `end it with one of ${endings}, or name a folder`,
    );
  }
  return singleFile(path, known[0]!, options, engines);
}

/** One engine's own file, which replaces the one of the run before. */
function singleFile(
  path: string,
  { ending, engine, kind }: (typeof KINDS)[number],
  options: CreateOptions,
  engines: readonly EngineName[],
): Destination {
  if (engines.length !== 1 || engines[0] !== engine)
    throw usageError(
      `--output: a ${ending} file holds ${engine} alone, and this is a backup of ${engines.join(", ")}`,
      `opsctl backup ${engine} --output ${path}`,
    );
  if (engine === "postgres" && options.databases)
    throw usageError(
      "--databases: a single file holds one database",
      "end --output with .tar.gz, or leave --databases out",
    );
  requireReplaceable(path);
  return { folder: dirname(path), container: "file", name: basename(path), kind, isNamed: true };
}

/**
 * A single file may replace the one that a run before made, and nothing else: not a database, not a file of somebody else, not what lies where its
 * sidecar goes.
 * @throws OpsError `usage`
 */
function requireReplaceable(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found && !found.isFile())
    throw usageError(
      `--output: ${path} is there and is no file`,
      "a backup replaces files only: name another path",
    );
  if (basename(path).length > MAX_FILE_NAME)
    throw usageError(`--output: the name has more than ${MAX_FILE_NAME} characters`, "name a shorter one");
  const sidecar = sidecarPath(path);
  const known = readOwnSidecar(sidecar);
  if (known?.container === "file" && known.file === basename(path)) return;
  const [taken] = [path, sidecar].filter((name) => lstatSync(name, { throwIfNoEntry: false }));
  if (taken === undefined) return;
  throw usageError(
    `--output: ${taken} is there, and no backup by opsctl made it`,
    "name another path, or move the file away",
  );
}

/** Undefined: there is none, or it is something else. */
function readOwnSidecar(path: string): Sidecar | undefined {
  try {
    return parseSidecar(readSmallFile(path), path);
  } catch {
    return undefined;
  }
}

/** Engines by name, or all that are configured; the embedded file counts when it is there or other files are named. */
export function enginesOf(
  context: Context,
  given: readonly string[],
  files: { all: readonly string[]; named: boolean },
): EngineName[] {
  const { app } = context;
  const servers = (["neo4j", "postgres", "redis"] as const).filter((name) => app.targets.backup[name]);
  const there = files.all.length > 0 ? ([...servers, "sqlite"] as const) : servers;
  const names = engineNames(given, there, SUBCOMMANDS);
  if (files.named && !names.includes("sqlite"))
    throw usageError(
      `--sqlite names a file, and this is a backup of ${names.join(", ")}`,
      "add sqlite to the engines",
    );
  for (const name of names) {
    const isThere = name === "sqlite" || app.targets.backup[name] !== undefined;
    if (!isThere) requireConfigured(context, name);
  }
  if (names.length > 0) return names;
  throw usageError(
    `there is nothing to back up: no server is configured, and the embedded file ${app.dataFile} does not exist`,
    "set DATABASE_URL, REDIS_URL or NEO4J_URI, or name a file with --sqlite",
  );
}

/**
 * SQLite files: those that are named, else the embedded one and those of OPSCTL_BACKUP_SQLITE.
 * @param isSingle one file alone is asked for
 * @throws OpsError `usage` for an empty name
 */
export function sqliteFiles(
  { app }: Context,
  named: readonly string[] | undefined,
  isSingle: boolean,
): string[] {
  if (named?.includes("")) throw usageError("--sqlite is empty", "name a file");
  const configured = app.config.text("OPSCTL_BACKUP_SQLITE")?.split(",") ?? [];
  const others = [...(isSingle ? [] : configured), ...(named ?? [])].map((path) => resolve(path.trim()));
  const isThere = statSync(app.dataFile, { throwIfNoEntry: false }) !== undefined;
  const embedded = isThere && !(isSingle && named) ? [app.dataFile] : [];
  return [...new Set([...embedded, ...others])];
}

/** @throws OpsError `usage` */
export function partOptions({ app }: Context, options: CreateOptions): BackupOptions {
  const databases = options.databases ?? app.config.text("OPSCTL_BACKUP_DATABASES") ?? "";
  const names = databases
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const { text } = app.config;
  return {
    databases: names.includes("all") ? "all" : names,
    neo4j: {
      method: oneOf("--neo4j-method", options.neo4jMethod, ["export", "cypher", "dump"] as const)!,
      freeze: oneOf("--freeze", options.freeze, ["never", "auto", "always"] as const)!,
      freezeTimeoutMs: options.freezeTimeout ?? FREEZE_MS,
      stop: text("OPSCTL_NEO4J_STOP"),
      start: text("OPSCTL_NEO4J_START"),
      admin: text("OPSCTL_NEO4J_ADMIN")!,
    },
    redis: { method: oneOf("--redis-method", options.redisMethod, ["auto", "psync", "scan"] as const)! },
  };
}

/** @throws OpsError `usage` */
export function levelOf(text: string): Exclude<Level, "drill"> {
  return oneOf(
    "--verify",
    text,
    LEVELS.filter((level) => level !== "drill"),
  )!;
}

function oneOf<T extends string>(flag: string, text: string | undefined, known: readonly T[]): T | undefined {
  if (text === undefined) return undefined;
  const found = known.find((one) => one === text);
  if (found) return found;
  throw usageError(`${flag}: "${text}" is none of ${known.join(", ")}`, `use one of ${known.join(", ")}`);
}
