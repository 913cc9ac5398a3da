import { usageError } from "../errors.ts";
import { parseDuration } from "./duration.ts";
import { redactUrl, secretsIn } from "./redact.ts";
import { valueFrom } from "./secrets.ts";
import { SETTINGS, type Setting, type SettingName } from "./settings.ts";
import { type ConfigFlags, readSources, type Source } from "./sources.ts";

export interface ResolvedSetting {
  setting: Setting;
  /** As written; undefined when nothing sets it. */
  value: string | undefined;
  /** `environment`, `.env`, `opsctl.toml [default]`, `profile staging`, `default`, … */
  source: string;
  /** The file that X_FILE named. */
  file?: string;
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

const HELP_SETTINGS = "correct it; `opsctl help environment` explains every name";

/**
 * Resolves every setting: profile named by `--profile` > environment > `.env` beside the config file > `[default]` of the
 * config file > built-in default. An empty value counts as unset.
 * @param signal ends a command that a setting names
 * @throws OpsError `usage` for an unreadable or invalid file, an unknown name, a value out of its limits
 */
export async function loadConfig(
  flags: ConfigFlags,
  env: NodeJS.ProcessEnv,
  cwd: string,
  signal?: AbortSignal,
): Promise<Config> {
  const { sources, file } = await readSources(flags, env, cwd);
  const resolved: ResolvedSetting[] = [];
  for (const setting of SETTINGS) resolved.push(await resolveSetting(setting, sources, signal));
  return makeConfig(resolved, file, flags.profile ?? null, env, cwd);
}

/** The value of a setting as `opsctl env` may show it. */
export function shownValue({ setting, value }: ResolvedSetting): string | null {
  if (value === undefined) return null;
  if (setting.secret === "value") return "***";
  return setting.secret === "url" ? redactUrl(value) : value;
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

async function resolveSetting(
  setting: Setting,
  sources: readonly Source[],
  signal: AbortSignal | undefined,
): Promise<ResolvedSetting> {
  for (const source of sources) {
    const value = await valueFrom(setting, source, signal);
    if (value === undefined) continue;
    checkValue(setting, value.text, source.label);
    const file = value.file === undefined ? {} : { file: value.file };
    return { setting, value: value.text, source: value.label, ...file };
  }
  return { setting, value: setting.default, source: setting.default === undefined ? "unset" : "default" };
}

function checkValue({ name, type, min, max, lines }: Setting, value: string, label: string): void {
  if ((lines ? /\0/ : /[\0\r\n]/).test(value))
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
