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
  const given = <N extends SettingName>(
    variable: N,
    target: (config: Config, variable: N) => Target | undefined,
  ) => (config.text(variable) ? target(config, variable) : undefined);
  const neo4j = neo4jTarget(config, "NEO4J_URI");
  const postgres = postgresTarget(config, "DATABASE_URL");
  const redis = redisTarget(config, "REDIS_URL");
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

function neo4jTarget(
  config: Config,
  variable: "NEO4J_URI" | "BACKUP_NEO4J_URI" | "DRILL_NEO4J_URI",
): Target | undefined {
  const uri = config.text(variable);
  if (uri === undefined) return undefined;
  const url = parseUrl(variable, uri, NEO4J_SCHEMES);
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

function postgresTarget(
  config: Config,
  variable: "DATABASE_URL" | "MIGRATION_DATABASE_URL" | "BACKUP_DATABASE_URL" | "DRILL_DATABASE_URL",
): Target | undefined {
  const given = config.text(variable);
  const host = config.text("POSTGRES_HOST");
  if (given === undefined && host === undefined) return undefined;
  const url =
    given === undefined ? postgresUrl(config, host!) : parseUrl(variable, given, ["postgresql", "postgres"]);
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

function redisTarget(config: Config, variable: "REDIS_URL" | "BACKUP_REDIS_URL"): Target | undefined {
  const given = config.text(variable);
  const host = config.text("REDIS_HOST");
  if (given === undefined && host === undefined) return undefined;
  const url =
    given === undefined
      ? parseUrl(
          "REDIS_HOST",
          `redis://${host!.includes(":") ? `[${host}]` : host}:${config.text("REDIS_PORT")}`,
          ["redis"],
        )
      : parseUrl(variable, given, ["redis", "rediss"]);
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
