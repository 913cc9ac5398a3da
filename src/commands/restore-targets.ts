/** Where the parts of an archive go, by what is configured here. */
import { closeSync, openSync, readSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { partNames } from "../backup/names.ts";
import { type Target, targetOfUrl } from "../config/targets.ts";
import { type EngineName, type OpsError, usageError } from "../errors.ts";
import type { PartRecord } from "../restore/journal.ts";
import type { StagedPart, StagedSet } from "../restore/stage.ts";
import { sqliteFiles } from "./backup-request.ts";
import type { Context } from "./command.ts";
import type { RestoreFlags } from "./restore.ts";

/** Of a PostgreSQL server, what its databases share. */
const GLOBALS = "globals";

/** https://sqlite.org/fileformat2.html, 1.3.1 */
const HEADER = Buffer.from("SQLite format 3\0", "latin1");
const SCHEMES = { postgres: "postgresql", redis: "redis", neo4j: "bolt" } as const;

export interface Places {
  /** `--into` or `--target-db`: the only engine that is restored. */
  only: EngineName | undefined;
  place(part: StagedPart, set: StagedSet): Pick<PartRecord, "name" | "identity">;
  /** @throws OpsError `usage` for a flag that no part is for, and for parts that would replace each other or what is no data */
  requireUse(records: readonly PartRecord[]): void;
  /** @throws OpsError `usage` when the record's target is not what is configured now */
  targetOf(record: Pick<PartRecord, "engine" | "name" | "identity">): Target;
}

/**
 * @throws OpsError `usage`
 */
export function placesOf(
  context: Context,
  { into: url, targetDb, sqlite }: Pick<RestoreFlags, "into" | "targetDb" | "sqlite">,
): Places {
  const { app } = context;
  const into = url === undefined ? undefined : targetOfUrl(app.config, "--into", url);
  if (into?.engine === "redis" && into.database !== "0")
    throw usageError(
      `--into: the whole server is restored, and the URL names its database ${into.database}`,
      "leave the number out",
    );
  const targetFor = (engine: EngineName) => (engine === into?.engine ? into : app.restoreTarget(engine));
  if (targetDb === "") throw usageError("--target-db is empty", "name a database");
  const named = new Map(sqlite?.map(assignment));
  return {
    only: into?.engine ?? (targetDb === undefined ? undefined : "postgres"),
    place({ part: { engine, name } }, set) {
      if (engine === "sqlite") {
        const path = named.get(name) ?? sqliteFile(context, name, set);
        return { name: path, identity: app.sqliteFile(path).identity };
      }
      const target = targetFor(engine);
      if (!target)
        throw usageError(
          `the archive has ${engine}, which is not configured here`,
          "set its URL, or name the engines to restore with --only",
        );
      if (engine === "redis") return { name, identity: target.identity };
      if (engine === "neo4j") return { name: target.database!, identity: target.identity };
      return { name: databaseOf(name, target.database!, targetDb, set), identity: target.identity };
    },
    requireUse(records) {
      const of = (engine: EngineName) => records.filter((record) => record.engine === engine);
      const files = of("sqlite");
      for (const name of named.keys())
        if (!files.some(({ source }) => source === name)) throw unusedFile(name, files);
      if (targetDb !== undefined && of("postgres").every(({ name }) => name === GLOBALS))
        throw usageError("--target-db: no PostgreSQL database is restored", "leave it out");
      const state = real(app.stateFile);
      const seen = new Map<string, string>();
      for (const { name, source } of files) {
        const path = real(name);
        // one that is configured may be damaged to its first byte; what somebody names may be anything
        if (named.has(source)) requireDatabase(path);
        if (path === state)
          throw usageError(
            `--sqlite: ${name} is the state file of opsctl, which is never restored`,
            "name another file",
          );
        const other = seen.get(path);
        if (other !== undefined)
          throw usageError(
            `${other} and ${source} would both become ${path}`,
            `say where they go: --sqlite ${source}=FILE`,
          );
        seen.set(path, source);
      }
    },
    targetOf({ engine, name, identity }) {
      const target = engine === "sqlite" ? app.sqliteFile(name) : targetFor(engine);
      if (target?.identity === identity) return target;
      throw usageError(
        `that restore went to ${identity}, and ${target ? `${target.identity} is` : `no ${engine} is`} configured now`,
        engine === "sqlite"
          ? "use the configuration of that restore"
          : `repeat it with --into ${SCHEMES[engine]}://${identity.slice(identity.indexOf(":") + 1)}`,
      );
    },
  };
}

function unusedFile(name: string, files: readonly PartRecord[]): OpsError {
  const known = files.map(({ source }) => source).join(", ");
  return usageError(
    `--sqlite: no file ${name} is restored${known === "" ? ", and no SQLite file at all" : `: the archive has ${known}`}`,
    "write it as --sqlite NAME=FILE, NAME as `opsctl backup show` has it",
  );
}

/** What never was a database is not taken for a damaged one. Nothing and an empty file may become one. */
function requireDatabase(path: string): void {
  let head: Buffer;
  try {
    const file = openSync(path, "r");
    head = Buffer.alloc(HEADER.length);
    const length = readSync(file, head);
    closeSync(file);
    if (length === 0) return;
  } catch {
    // whoever restores it says what is wrong there
    return;
  }
  if (!head.equals(HEADER))
    throw usageError(`--sqlite: ${path} is no SQLite database`, "name one, or move that file away first");
}

/** Where a path leads, also when nothing is there yet. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    try {
      return join(realpathSync(dirname(path)), basename(path));
    } catch {
      return path;
    }
  }
}

function assignment(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at > 0 && at < text.length - 1) return [text.slice(0, at), resolve(text.slice(at + 1))];
  throw usageError(
    `--sqlite: "${text}" is no assignment`,
    "write it as --sqlite NAME=FILE, NAME as `opsctl backup show` has it",
  );
}

/**
 * An archive's one database goes to the configured one, whatever its name was; of several each keeps its name.
 * @throws OpsError `usage`
 */
function databaseOf(
  name: string,
  configured: string,
  wanted: string | undefined,
  { parts }: StagedSet,
): string {
  if (name === GLOBALS) return name;
  const databases = parts.filter(({ part }) => part.engine === "postgres" && part.name !== GLOBALS);
  if (databases.length === 1) return wanted ?? configured;
  if (wanted === undefined) return name;
  throw usageError(
    `--target-db: the archive has ${databases.length} databases: ${databases.map(({ part }) => part.name).join(", ")}`,
    "leave it out: each is restored under its own name",
  );
}

/** A path is never taken from an archive: it goes where the configuration has a file of that name. */
function sqliteFile(context: Context, name: string, { parts }: StagedSet): string {
  const { app } = context;
  const files = [...new Set([app.dataFile, ...sqliteFiles(context, undefined, false)])];
  const names = partNames(files);
  const place = names.indexOf(name);
  if (place >= 0) return files[place]!;
  const others = parts.filter(({ part }) => part.engine === "sqlite");
  // its embedded file had another name where the archive was made; a file of another program never becomes ours
  const isOurs = others.some(({ part }) => Object.hasOwn(part.breakdown, "opsctl_migrations"));
  if (others.length === 1 && files.length === 1 && isOurs) return app.dataFile;
  throw usageError(
    `the archive has the SQLite file ${name}, and no file of that name is configured`,
    `say where it goes: --sqlite ${name}=FILE; or leave SQLite out with --only`,
  );
}
