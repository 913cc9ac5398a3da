import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseEnv } from "node:util";
import { type OpsError, usageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { parseDuration } from "./duration.ts";
import { redactUrl, secretsIn } from "./redact.ts";
import { SETTING_BY_NAME, SETTINGS, type Setting, type SettingName } from "./settings.ts";

export interface ResolvedSetting {
  setting: Setting;
  /** As written; undefined when nothing sets it. */
  value: string | undefined;
  /** `environment`, `.env`, `opsctl.toml [default]`, `profile staging`, `default`, … */
  source: string;
}

export interface Config {
  /** Text of a setting, defaults included; undefined when nothing sets it. */
  text(name: SettingName): string | undefined;
  integer(name: SettingName): number;
  /** Milliseconds. */
  durationMs(name: SettingName): number;
  resolved: ResolvedSetting[];
  /** Strings that must never be printed. */
  secrets: string[];
  /** The file that was read, null when there is none. */
  file: string | null;
  profile: string | null;
  env: NodeJS.ProcessEnv;
  cwd: string;
}

export interface ConfigFlags {
  config?: string;
  profile?: string;
}

/** One place a value can come from: the plain names and `_FILE`/`_COMMAND` forms it holds. */
interface Source {
  label: string;
  values: Record<string, string>;
  /** False for files found in the working directory: whoever can place a file there could run a command. */
  mayRunCommands: boolean;
}

const FILE_NAME = "opsctl.toml";
const HELP_SETTINGS = "correct it; `opsctl help environment` explains every name";

/**
 * Resolves every setting: profile named by `--profile` > environment > `.env` beside the config file > `[default]` of the
 * config file > built-in default. An empty value counts as unset.
 * @throws OpsError `usage` for an unreadable or invalid file, an unknown name, a value out of its limits
 */
export async function loadConfig(flags: ConfigFlags, env: NodeJS.ProcessEnv, cwd: string): Promise<Config> {
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
  const resolved: ResolvedSetting[] = [];
  for (const setting of SETTINGS) resolved.push(await resolveSetting(setting, sources));
  return makeConfig(resolved, located?.path ?? null, flags.profile ?? null, env, cwd);
}

/** The value of a setting as `opsctl env` may show it. */
export function shownValue({ setting, value }: ResolvedSetting): string | null {
  if (value === undefined) return null;
  if (setting.secret === "value") return "***";
  return setting.secret === "url" ? redactUrl(value) : value;
}

/** XDG base directory, for example `("XDG_DATA_HOME", ".local/share")`. */
export function xdgDirectory(env: NodeJS.ProcessEnv, variable: string, fallback: string): string {
  const configured = env[variable];
  if (configured?.startsWith("/")) return join(configured, "opsctl");
  return join(env["HOME"] || homedir(), fallback, "opsctl");
}

function makeConfig(
  resolved: ResolvedSetting[],
  file: string | null,
  profile: string | null,
  env: NodeJS.ProcessEnv,
  cwd: string,
): Config {
  const byName = new Map(resolved.map((entry) => [entry.setting.name, entry]));
  const text = (name: SettingName) => byName.get(name)?.value;
  const secrets = secretsIn(
    resolved.flatMap(({ setting, value }) =>
      setting.secret && value !== undefined ? [{ value, kind: setting.secret }] : [],
    ),
  );
  return {
    text,
    integer: (name) => Number(text(name)),
    durationMs: (name) => parseDuration(text(name) ?? "", name),
    resolved,
    secrets,
    file,
    profile,
    env,
    cwd,
  };
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
    profiles[profile] = readProfile(path, profile, table as Record<string, unknown>);
  }
  return profiles;
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

async function resolveSetting(setting: Setting, sources: readonly Source[]): Promise<ResolvedSetting> {
  for (const source of sources) {
    const value = await valueFrom(setting, source);
    if (value === undefined) continue;
    checkValue(setting, value.text, source.label);
    return { setting, value: value.text, source: value.label };
  }
  return { setting, value: setting.default, source: setting.default === undefined ? "unset" : "default" };
}

async function valueFrom(
  setting: Setting,
  source: Source,
): Promise<{ text: string; label: string } | undefined> {
  const { values, label, mayRunCommands } = source;
  const forms = setting.secret
    ? [setting.name, `${setting.name}_FILE`, `${setting.name}_COMMAND`]
    : [setting.name];
  const given = forms.filter((form) => values[form]);
  if (given.length > 1) {
    throw usageError(`${given.join(" and ")} are both set (${label})`, "set one of them");
  }
  const form = given[0];
  if (form === undefined) return undefined;
  if (form === setting.name) return { text: values[form]!, label };
  if (form.endsWith("_FILE"))
    return { text: readSecretFile(form, values[form]!), label: `${label}, ${form}` };
  if (!mayRunCommands) {
    throw usageError(
      `${form}: a file found in the working directory may not run a command`,
      `name the file by --config or OPSCTL_CONFIG, or set ${form} in the environment`,
    );
  }
  return { text: await runSecretCommand(form, values[form]!), label: `${label}, ${form}` };
}

function readSecretFile(form: string, path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? "unreadable";
    throw usageError(
      `${form}: ${path} cannot be read (${reason})`,
      "name a readable file that holds only the value",
    );
  }
  return trimmedSecret(form, text);
}

async function runSecretCommand(form: string, command: string): Promise<string> {
  const { runTool } = await import("../child.ts");
  const { stdout } = await runTool(form, command, 30_000);
  return trimmedSecret(form, stdout);
}

function trimmedSecret(form: string, text: string): string {
  const value = text.replace(/\r?\n$/, "");
  if (value === "")
    throw usageError(`${form} gave an empty value`, "an engine is left out by unsetting its variables");
  return value;
}

function checkValue({ name, type, min, max }: Setting, value: string, label: string): void {
  if (/[\0\r\n]/.test(value))
    throw usageError(`${name} (${label}) holds a line break or NUL byte`, "remove it");
  if (type === "integer") {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < (min ?? 0) || number > (max ?? Number.MAX_SAFE_INTEGER)) {
      throw usageError(
        `${name} (${label}): "${value}" is not a whole number from ${min} to ${max}`,
        HELP_SETTINGS,
      );
    }
  }
  if (type === "duration") {
    const ms = parseDuration(value, name);
    if (ms < (min ?? 0) || ms > (max ?? Number.POSITIVE_INFINITY)) {
      throw usageError(`${name} (${label}): "${value}" is outside ${min} ms to ${max} ms`, HELP_SETTINGS);
    }
  }
  if (type === "level" && !/^(DEBUG|INFO|WARNING|ERROR)$/i.test(value)) {
    throw usageError(`${name} (${label}): "${value}" is no log level`, "use DEBUG, INFO, WARNING or ERROR");
  }
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
