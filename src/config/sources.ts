/** Where settings come from: the environment, the configuration file and the `.env` beside it. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { type OpsError, usageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { SETTING_BY_NAME } from "./settings.ts";
import { xdgDirectory } from "./xdg.ts";

export interface ConfigFlags {
  config?: string;
  profile?: string;
}

/** One place a value can come from: the plain names and `_FILE`/`_COMMAND` forms it holds. */
export interface Source {
  label: string;
  values: Record<string, string>;
  /** False for files found in the working directory: whoever can place a file there could run a command. */
  mayRunCommands: boolean;
}

const FILE_NAME = "opsctl.toml";

/**
 * All sources, the one that wins first, and the configuration file that was read.
 * @throws OpsError `usage` for an unreadable or invalid file, an unknown profile or name
 */
export async function readSources(
  flags: ConfigFlags,
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<{ sources: Source[]; file: string | null }> {
  const located = locateFile(flags, env, cwd);
  const profiles = located ? await readProfiles(located.path) : {};
  const sources: Source[] = [];
  const mayRunCommands = located?.explicit ?? false;
  if (flags.profile !== undefined) {
    const values = profiles[flags.profile];
    if (!values) throw unknownProfile(flags.profile, Object.keys(profiles), located?.path);
    sources.push({ label: `profile ${flags.profile}`, values, mayRunCommands });
  }
  sources.push({ label: "environment", values: definedOnly(env), mayRunCommands: true });
  if (located) {
    const dotenv = readDotenv(join(dirname(located.path), ".env"));
    if (dotenv) sources.push({ label: ".env", values: dotenv, mayRunCommands });
    sources.push({ label: `${FILE_NAME} [default]`, values: profiles["default"] ?? {}, mayRunCommands });
  }
  return { sources, file: located?.path ?? null };
}

function locateFile(
  flags: ConfigFlags,
  env: NodeJS.ProcessEnv,
  cwd: string,
): { path: string; explicit: boolean } | undefined {
  const named = flags.config ?? (env["OPSCTL_CONFIG"] || undefined);
  if (named !== undefined) {
    const path = resolve(cwd, named);
    if (!existsSync(path)) {
      const field = flags.config !== undefined ? "--config" : "OPSCTL_CONFIG";
      throw usageError(`${field}: there is no file ${path}`, "name an existing opsctl.toml");
    }
    return { path, explicit: true };
  }
  const here = join(cwd, FILE_NAME);
  if (existsSync(here)) return { path: here, explicit: false };
  const xdg = join(xdgDirectory(env, "XDG_CONFIG_HOME", ".config"), FILE_NAME);
  return existsSync(xdg) ? { path: xdg, explicit: true } : undefined;
}

async function readProfiles(path: string): Promise<Record<string, Record<string, string>>> {
  const { parse } = await import("smol-toml");
  let document: Record<string, unknown>;
  try {
    document = parse(readFileSync(path, "utf8"));
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw usageError(`${path} cannot be read: ${reason}`, "correct the file or name another by --config");
  }
  const profiles: Record<string, Record<string, string>> = {};
  for (const [profile, table] of Object.entries(document)) {
    if (typeof table !== "object" || table === null || Array.isArray(table)) {
      throw usageError(
        `${path}: "${profile}" stands outside a profile`,
        `put it under [default] or another [profile]`,
      );
    }
    if (profile !== THRESHOLDS_BLOCK) {
      profiles[profile] = readProfile(path, profile, table as Record<string, unknown>);
    }
  }
  const thresholds = document[THRESHOLDS_BLOCK];
  // a profile's own OPSCTL_THRESHOLDS wins over the block
  if (thresholds) {
    profiles["default"] = { OPSCTL_THRESHOLDS: asPairs(path, thresholds), ...profiles["default"] };
  }
  return profiles;
}

/** The block of opsctl.toml that is no profile. Its names and limits are checked where the setting is. */
const THRESHOLDS_BLOCK = "thresholds";

function asPairs(path: string, table: object): string {
  return Object.entries(table)
    .map(([name, value]) => {
      if (typeof value === "number" || typeof value === "bigint") return `${name}=${value}`;
      throw usageError(`${path}: [${THRESHOLDS_BLOCK}] ${name} must be a number`);
    })
    .join(",");
}

function readProfile(path: string, profile: string, table: Record<string, unknown>): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [key, value] of Object.entries(table)) {
    const name = key.toUpperCase();
    const base = name.replace(/_(FILE|COMMAND)$/, "");
    if (!SETTING_BY_NAME.has(name) && !SETTING_BY_NAME.get(base)?.secret) {
      throw usageError(
        `${path}: [${profile}] has an unknown setting "${key}"`,
        suggest(name, [...SETTING_BY_NAME.keys()]) ?? "see `opsctl help environment`",
      );
    }
    if (!["string", "number", "bigint", "boolean"].includes(typeof value)) {
      throw usageError(`${path}: [${profile}] ${key} must be a string or a number`);
    }
    values[name] = String(value);
  }
  return values;
}

function readDotenv(path: string): Record<string, string> | undefined {
  if (!existsSync(path)) return undefined;
  try {
    return definedOnly(parseEnv(readFileSync(path, "utf8")));
  } catch {
    throw usageError(`${path} cannot be read`, "make it a readable file of NAME=value lines, or remove it");
  }
}

function definedOnly(values: NodeJS.Dict<string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, string] => !!entry[1]));
}

function unknownProfile(name: string, known: string[], path: string | undefined): OpsError {
  if (path === undefined) {
    return usageError(`--profile ${name}: there is no opsctl.toml`, "name the file by --config");
  }
  return usageError(
    `--profile ${name}: ${path} has no such profile`,
    suggest(name, known) ?? `it has: ${known.join(", ") || "none"}`,
  );
}
