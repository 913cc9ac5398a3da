import { join, resolve } from "node:path";
import { type EngineName, usageError } from "../errors.ts";
import type { Config } from "./load.ts";
import { redactUrl } from "./redact.ts";
import type { SettingName } from "./settings.ts";
import { xdgDirectory } from "./xdg.ts";

/** Where one connection goes. Two targets of one engine are normal; nothing below this reads the environment. */
export interface Target {
  engine: EngineName;
  /** Connection URL, credentials included; `file:` path for SQLite. Never print it: print `shown`. */
  url: string;
  username?: string;
  password?: string;
  database?: string;
  /** The URL without secrets. */
  shown: string;
  /**
   * Names the store, not the way to it: engine, host, port, database. Queued writes are bound to it, so that what was
   * written for one server is never delivered to another.
   */
  identity: string;
  /** SQLite: a file of another program. It is opened as it is: no journal mode is set, and reading creates nothing. */
  foreign?: boolean;
}

export interface Limits {
  connectMs: number;
  queryMs: number;
  poolSize: number;
}

export function limitsOf(config: Config): Limits {
  return {
    connectMs: config.durationMs("OPSCTL_CONNECT_TIMEOUT"),
    queryMs: config.durationMs("OPSCTL_QUERY_TIMEOUT"),
    poolSize: config.integer("OPSCTL_POOL_SIZE"),
  };
}

/** The configured target of each server engine (absent: not configured) and the embedded file, which is always there. */
export interface Targets {
  neo4j?: Target;
  postgres?: Target;
  redis?: Target;
  sqlite: Target;
  /** PostgreSQL for `init` and `migrate`, where it is another user or another way. */
  migration?: Target;
  /** What `backup` connects to: other users where those are configured. */
  backup: { neo4j?: Target; postgres?: Target; redis?: Target };
  /** Where drills restore to, beside what they start themselves. */
  drill: { neo4j?: Target; postgres?: Target };
}

/** @throws OpsError `usage` for a URL that does not parse or has a scheme the engine does not speak */
export function targetsOf(config: Config): Targets {
  if (dataFile(config) === stateFile(config)) {
    throw usageError(
      `OPSCTL_DB and OPSCTL_STATE are the same file, ${dataFile(config)}`,
      "the state file needs one of its own",
    );
  }
  const given = (
    variable: SettingName,
    target: (config: Config, name: string, url: string) => Target | undefined,
  ) => {
    const url = config.text(variable);
    return url ? target(config, variable, url) : undefined;
  };
  const neo4j = given("NEO4J_URI", neo4jTarget);
  const postgres = postgresTarget(config, "DATABASE_URL", config.text("DATABASE_URL"));
  const redis = redisTarget(config, "REDIS_URL", config.text("REDIS_URL"));
  const migration = given("MIGRATION_DATABASE_URL", postgresTarget);
  return {
    neo4j,
    postgres,
    redis,
    sqlite: sqliteTarget(dataFile(config)),
    migration,
    backup: {
      neo4j: given("BACKUP_NEO4J_URI", neo4jTarget) ?? neo4j,
      postgres: given("BACKUP_DATABASE_URL", postgresTarget) ?? postgres,
      redis: given("BACKUP_REDIS_URL", redisTarget) ?? redis,
    },
    drill: {
      neo4j: given("DRILL_NEO4J_URI", neo4jTarget),
      postgres: given("DRILL_DATABASE_URL", postgresTarget) ?? migration ?? postgres,
    },
  };
}

export function sqliteTarget(path: string): Target {
  return { engine: "sqlite", url: path, shown: path, identity: `sqlite:${path}` };
}

/** @throws OpsError `usage` for SQLite's special names: opsctl keeps a real file */
export function dataFile(config: Config): string {
  const set = config.text("OPSCTL_DB");
  if (set && /^(:memory:|file:)/.test(set)) throw usageError(`OPSCTL_DB: "${set}" is no path`, "name a file");
  return set
    ? resolve(config.cwd, set)
    : join(xdgDirectory(config.env, "XDG_DATA_HOME", ".local/share"), "opsctl.db");
}

export function stateFile(config: Config): string {
  const set = config.text("OPSCTL_STATE");
  return set
    ? resolve(config.cwd, set)
    : join(xdgDirectory(config.env, "XDG_STATE_HOME", ".local/state"), "state.db");
}

const NEO4J_SCHEMES = ["bolt", "neo4j", "bolt+s", "neo4j+s", "bolt+ssc", "neo4j+ssc"];

function neo4jTarget(config: Config, name: string, uri: string): Target {
  const url = parseUrl(name, uri, NEO4J_SCHEMES);
  const username = decodeURIComponent(url.username) || config.text("NEO4J_USERNAME")!;
  const password = decodeURIComponent(url.password) || config.text("NEO4J_PASSWORD");
  const database = config.text("NEO4J_DATABASE")!;
  url.username = "";
  url.password = "";
  const host = `${url.hostname}:${url.port || 7687}`;
  return {
    engine: "neo4j",
    url: url.href,
    username,
    password,
    database,
    shown: redactUrl(url.href),
    identity: `neo4j:${host}/${database}`,
  };
}

function postgresTarget(config: Config, name: string, given: string | undefined): Target | undefined {
  const host = config.text("POSTGRES_HOST");
  if (given === undefined && host === undefined) return undefined;
  const url =
    given === undefined ? postgresUrl(config, host!) : parseUrl(name, given, ["postgresql", "postgres"]);
  // libpq's defaults where the URL is silent: the user, then a database of the user's name
  if (url.username === "") url.username = encodeURIComponent(config.text("POSTGRES_USER")!);
  const password = config.text("POSTGRES_PASSWORD");
  if (url.password === "" && password !== undefined) url.password = encodeURIComponent(password);
  const database = decodeURIComponent(url.pathname.slice(1)) || decodeURIComponent(url.username);
  url.pathname = `/${encodeURIComponent(database)}`;
  return {
    engine: "postgres",
    url: url.href,
    database,
    shown: redactUrl(url.href),
    identity: `postgres:${url.searchParams.get("host") ?? url.hostname}:${url.port || 5432}/${database}`,
  };
}

function postgresUrl(config: Config, host: string): URL {
  const url = new URL("postgresql://localhost");
  if (host.startsWith("/")) url.searchParams.set("host", host);
  else url.hostname = host.includes(":") ? `[${host}]` : host;
  url.port = config.text("POSTGRES_PORT")!;
  url.pathname = `/${encodeURIComponent(config.text("POSTGRES_DB")!)}`;
  return url;
}

function redisTarget(config: Config, name: string, given: string | undefined): Target | undefined {
  const host = config.text("REDIS_HOST");
  if (given === undefined && host === undefined) return undefined;
  const url =
    given === undefined
      ? parseUrl(
          "REDIS_HOST",
          `redis://${host!.includes(":") ? `[${host}]` : host}:${config.text("REDIS_PORT")}`,
          ["redis"],
        )
      : parseUrl(name, given, ["redis", "rediss"]);
  const password = config.text("REDIS_PASSWORD");
  if (url.password === "" && password !== undefined) url.password = encodeURIComponent(password);
  if (url.pathname === "" || url.pathname === "/") url.pathname = `/${config.text("REDIS_DB")}`;
  return {
    engine: "redis",
    url: url.href,
    database: url.pathname.slice(1),
    shown: redactUrl(url.href),
    identity: `redis:${url.hostname}:${url.port || 6379}${url.pathname}`,
  };
}

/**
 * The target that a flag names, with the configured user and password of its engine where the URL has none.
 * @throws OpsError `usage` also for a password: arguments are seen by everybody on the host
 */
export function targetOfUrl(config: Config, flag: string, text: string): Target {
  const url = parseUrl(flag, text, ["postgresql", "postgres", "redis", "rediss", ...NEO4J_SCHEMES]);
  if (url.password !== "")
    throw usageError(
      `${flag}: a password does not belong into an argument, where \`ps\` shows it`,
      "leave it out and set POSTGRES_PASSWORD, REDIS_PASSWORD or NEO4J_PASSWORD (_FILE, _COMMAND)",
    );
  if (url.protocol.startsWith("postgres")) return postgresTarget(config, flag, text)!;
  if (url.protocol.startsWith("redis")) return redisTarget(config, flag, text)!;
  return neo4jTarget(config, flag, text);
}

/** The message never holds the text: it may carry a password. */
function parseUrl(name: string, text: string, schemes: readonly string[]): URL {
  let url: URL;
  try {
    url = new URL(text);
    decodeURIComponent(url.username + url.password + url.pathname);
  } catch {
    throw usageError(
      `${name} is not a URL`,
      `write it as ${schemes[0]}://user:password@host:port and percent-encode special characters in the password`,
    );
  }
  if (!schemes.includes(url.protocol.slice(0, -1))) {
    throw usageError(
      `${name} has the scheme "${url.protocol}"`,
      `use ${schemes.map((s) => `${s}://`).join(", ")}`,
    );
  }
  if (url.hostname === "" && !url.searchParams.has("host")) throw usageError(`${name} names no host`);
  return url;
}
