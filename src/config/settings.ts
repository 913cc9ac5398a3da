import type { EngineName } from "../errors.ts";

export type SettingType = "text" | "integer" | "duration" | "level";

export interface Setting {
  /** Name in the environment, `.env` and `opsctl.toml`. */
  name: string;
  type: SettingType;
  doc: string;
  default?: string;
  /** `value`: the whole value is secret. `url`: user info and secret parameters in it are. Both take `_FILE` and `_COMMAND`. */
  secret?: "value" | "url";
  engine?: EngineName;
  min?: number;
  max?: number;
}

/** Every setting opsctl reads. The README's table and `opsctl help environment` are made from this list. */
export const SETTINGS = [
  {
    name: "NEO4J_URI",
    type: "text",
    secret: "url",
    engine: "neo4j",
    doc: "Neo4j: bolt://, neo4j://, bolt+s://, neo4j+s://, bolt+ssc:// or neo4j+ssc://",
  },
  { name: "NEO4J_USERNAME", type: "text", engine: "neo4j", default: "neo4j", doc: "Neo4j user" },
  { name: "NEO4J_PASSWORD", type: "text", secret: "value", engine: "neo4j", doc: "Neo4j password" },
  { name: "NEO4J_DATABASE", type: "text", engine: "neo4j", default: "neo4j", doc: "Neo4j database" },
  {
    name: "DATABASE_URL",
    type: "text",
    secret: "url",
    engine: "postgres",
    doc: "PostgreSQL: postgresql://user:password@host:port/database?sslmode=verify-full",
  },
  {
    name: "POSTGRES_HOST",
    type: "text",
    engine: "postgres",
    doc: "PostgreSQL host; setting it configures the engine when DATABASE_URL is not set",
  },
  {
    name: "POSTGRES_PORT",
    type: "integer",
    engine: "postgres",
    default: "5432",
    min: 1,
    max: 65535,
    doc: "PostgreSQL port",
  },
  { name: "POSTGRES_DB", type: "text", engine: "postgres", default: "pconfig", doc: "PostgreSQL database" },
  { name: "POSTGRES_USER", type: "text", engine: "postgres", default: "postgres", doc: "PostgreSQL user" },
  {
    name: "POSTGRES_PASSWORD",
    type: "text",
    secret: "value",
    engine: "postgres",
    doc: "PostgreSQL password",
  },
  {
    name: "MIGRATION_DATABASE_URL",
    type: "text",
    secret: "url",
    engine: "postgres",
    doc: "PostgreSQL for init and migrate, when they need another user or a way around a pooler (default: DATABASE_URL)",
  },
  {
    name: "REDIS_URL",
    type: "text",
    secret: "url",
    engine: "redis",
    doc: "Redis: redis://user:password@host:port/db or rediss://",
  },
  {
    name: "REDIS_HOST",
    type: "text",
    engine: "redis",
    doc: "Redis host; setting it configures the engine when REDIS_URL is not set",
  },
  {
    name: "REDIS_PORT",
    type: "integer",
    engine: "redis",
    default: "6379",
    min: 1,
    max: 65535,
    doc: "Redis port",
  },
  { name: "REDIS_PASSWORD", type: "text", secret: "value", engine: "redis", doc: "Redis password" },
  {
    name: "REDIS_DB",
    type: "integer",
    engine: "redis",
    default: "0",
    min: 0,
    max: 65535,
    doc: "Redis database number",
  },
  {
    name: "OPSCTL_DB",
    type: "text",
    engine: "sqlite",
    doc: "embedded SQLite data file (default: opsctl.db in the XDG data directory)",
  },
  {
    name: "OPSCTL_STATE",
    type: "text",
    doc: "this host's state file, the journal (default: state.db in the XDG state directory)",
  },
  {
    name: "OPSCTL_SETS",
    type: "text",
    doc: "shipped sets that init applies: names separated by commas, or all (default: those that init --list calls default)",
  },
  {
    name: "OPSCTL_MIGRATIONS",
    type: "text",
    default: "migrations",
    doc: "folder with one folder of migrations for each engine: postgres, neo4j, redis, sqlite",
  },
  {
    name: "OPSCTL_CONNECT_TIMEOUT",
    type: "duration",
    default: "2s",
    min: 50,
    max: 600_000,
    doc: "time to connect to one server",
  },
  {
    name: "OPSCTL_QUERY_TIMEOUT",
    type: "duration",
    default: "30s",
    min: 50,
    max: 3_600_000,
    doc: "time for one query",
  },
  {
    name: "OPSCTL_POOL_SIZE",
    type: "integer",
    default: "4",
    min: 1,
    max: 100,
    doc: "connections kept to one server",
  },
  {
    name: "OPSCTL_HOST_ROOT",
    type: "text",
    default: "/",
    doc: "where the host's file system begins, for health checks from a container that mounts it",
  },
  {
    name: "OBS_AGENT_LOG_LEVEL",
    type: "level",
    default: "WARNING",
    doc: "log on stderr: DEBUG, INFO, WARNING or ERROR",
  },
] as const satisfies readonly Setting[];

export type SettingName = (typeof SETTINGS)[number]["name"];

export const SETTING_BY_NAME: ReadonlyMap<string, Setting> = new Map(
  SETTINGS.map((setting) => [setting.name, setting]),
);
