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
  /** It may have several lines, as a file of keys has. */
  lines?: true;
  /** Its value is a command that is run: never taken from a file that was found in the working directory. */
  runs?: true;
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
    name: "BACKUP_NEO4J_URI",
    type: "text",
    secret: "url",
    engine: "neo4j",
    doc: "Neo4j for backup, with user and password in it, when that is another user (default: NEO4J_URI)",
  },
  {
    name: "BACKUP_DATABASE_URL",
    type: "text",
    secret: "url",
    engine: "postgres",
    doc: "PostgreSQL for backup, when it needs another user or a way around a pooler (default: DATABASE_URL)",
  },
  {
    name: "BACKUP_REDIS_URL",
    type: "text",
    secret: "url",
    engine: "redis",
    doc: "Redis for backup, when that is another user (default: REDIS_URL)",
  },
  {
    name: "OPSCTL_BACKUPS",
    type: "text",
    default: "backups",
    doc: "folder of the archives",
  },
  {
    name: "OPSCTL_BACKUP_DATABASES",
    type: "text",
    engine: "postgres",
    doc: "PostgreSQL databases to back up beside that of the URL: names separated by commas, or all",
  },
  {
    name: "OPSCTL_BACKUP_SQLITE",
    type: "text",
    engine: "sqlite",
    doc: "SQLite files to back up beside the embedded one: paths separated by commas",
  },
  {
    name: "OPSCTL_BACKUP_STALL",
    type: "duration",
    default: "60s",
    min: 1_000,
    max: 86_400_000,
    doc: "time without a byte from a server after which a backup gives it up",
  },
  {
    name: "RETENTION_DAYS",
    type: "integer",
    default: "7",
    min: 0,
    max: 36_500,
    doc: "days that archives are kept, counted from the newest good one; 0 keeps all",
  },
  {
    name: "OPSCTL_KEEP_LAST",
    type: "integer",
    min: 1,
    max: 100_000,
    doc: "keep the last N archives; any OPSCTL_KEEP_… replaces RETENTION_DAYS",
  },
  {
    name: "OPSCTL_KEEP_DAILY",
    type: "integer",
    min: 1,
    max: 100_000,
    doc: "keep the last archive of each of the last N days that have one",
  },
  { name: "OPSCTL_KEEP_WEEKLY", type: "integer", min: 1, max: 100_000, doc: "the same by week" },
  { name: "OPSCTL_KEEP_MONTHLY", type: "integer", min: 1, max: 100_000, doc: "the same by month" },
  { name: "OPSCTL_KEEP_YEARLY", type: "integer", min: 1, max: 100_000, doc: "the same by year" },
  {
    name: "OPSCTL_KEEP_WITHIN",
    type: "duration",
    min: 60_000,
    max: 3_155_760_000_000,
    doc: "keep all archives that are not older than this, counted from the newest one",
  },
  {
    name: "OPSCTL_BACKUP_BEFORE",
    type: "text",
    runs: true,
    doc: "command to run before a backup; when it fails, there is no backup",
  },
  {
    name: "OPSCTL_BACKUP_AFTER",
    type: "text",
    runs: true,
    doc: "command to run after a backup, with its outcome in OPSCTL_BACKUP_… variables",
  },
  {
    name: "OPSCTL_PING_START",
    type: "text",
    secret: "value",
    doc: "URL that is called when a backup starts (dead man's switch)",
  },
  {
    name: "OPSCTL_PING_SUCCESS",
    type: "text",
    secret: "value",
    doc: "URL that is called when a backup was complete and verified",
  },
  { name: "OPSCTL_PING_FAILURE", type: "text", secret: "value", doc: "URL that is called when it was not" },
  {
    name: "OPSCTL_BACKUP_SHRINK",
    type: "integer",
    default: "50",
    min: 1,
    max: 100,
    doc: "per cent by which size or counts may fall against the last backup before it warns",
  },
  {
    name: "OPSCTL_BACKUP_RECIPIENTS",
    type: "text",
    doc: "age recipients (age1…) that archives are encrypted to: separated by commas",
  },
  {
    name: "OPSCTL_BACKUP_SIGNING_KEY",
    type: "text",
    secret: "value",
    doc: "key that archives are signed with (HMAC-SHA-256), at least 32 characters",
  },
  {
    name: "OPSCTL_BACKUP_IDENTITY",
    type: "text",
    secret: "value",
    lines: true,
    doc: "age identity (AGE-SECRET-KEY-1…) that opens encrypted archives",
  },
  {
    name: "OPSCTL_RESTORE_STOP",
    type: "text",
    runs: true,
    doc: "command that stops what uses the databases, before a restore replaces their data",
  },
  {
    name: "OPSCTL_RESTORE_START",
    type: "text",
    runs: true,
    doc: "command that starts it again, after a restore in any case",
  },
  {
    name: "OPSCTL_RESTORE_DIR",
    type: "text",
    doc: "folder for the work of a restore and the copy of what it replaced (default: OPSCTL_BACKUPS)",
  },
  {
    name: "OPSCTL_RESTORE_LISTEN",
    type: "text",
    engine: "redis",
    doc: "host[:port] of this program by which Redis reaches it for a restore (default: found out, any port)",
  },
  {
    name: "OPSCTL_REDIS_SERVER",
    type: "text",
    runs: true,
    engine: "redis",
    default: "redis-server",
    doc: "how redis-server is called here, for drills",
  },
  {
    name: "OPSCTL_CYPHER_SHELL",
    type: "text",
    runs: true,
    engine: "neo4j",
    default: "cypher-shell",
    doc: "how cypher-shell is called here, for shell and to restore a script of backup neo4j --output x.cypher",
  },
  {
    name: "OPSCTL_PSQL",
    type: "text",
    runs: true,
    engine: "postgres",
    default: "psql",
    doc: "how psql is called here, for shell",
  },
  {
    name: "OPSCTL_REDIS_CLI",
    type: "text",
    runs: true,
    engine: "redis",
    default: "redis-cli",
    doc: "how redis-cli is called here, for shell",
  },
  {
    name: "OPSCTL_SQLITE3",
    type: "text",
    runs: true,
    engine: "sqlite",
    default: "sqlite3",
    doc: "how sqlite3 is called here, for shell",
  },
  {
    name: "NEO4J_HTTP_URL",
    type: "text",
    secret: "url",
    engine: "neo4j",
    doc: "Neo4j's HTTP address for health, such as http://localhost:7474 (default: it is not asked)",
  },
  {
    name: "OPSCTL_HEALTH_BUDGET",
    type: "duration",
    default: "5s",
    min: 50,
    max: 600_000,
    doc: "time that health, stats and metrics give each server for its answer",
  },
  {
    name: "OPSCTL_THRESHOLDS",
    type: "text",
    doc: "from where on health and doctor complain: disk_warning=80,cache_hit=90; the block [thresholds] of opsctl.toml sets the same",
  },
  {
    name: "OPSCTL_KEEP_SAMPLES",
    type: "duration",
    default: "30d",
    min: 3_600_000,
    max: 315_576_000_000,
    doc: "how long cleanup keeps samples of statistics and the log of operations",
  },
  {
    name: "OPSCTL_KEEP_TOMBSTONES",
    type: "duration",
    default: "90d",
    min: 86_400_000,
    max: 3_155_760_000_000,
    doc: "how long cleanup keeps the marks of forgotten records, which stop an older copy from bringing them back",
  },
  {
    name: "DRILL_NEO4J_URI",
    type: "text",
    secret: "url",
    engine: "neo4j",
    doc: "Neo4j that drills may empty and fill, with user and password in it",
  },
  {
    name: "DRILL_DATABASE_URL",
    type: "text",
    secret: "url",
    engine: "postgres",
    doc: "PostgreSQL server where drills make their scratch databases (default: that of DATABASE_URL)",
  },
  {
    name: "OPSCTL_NEO4J_STOP",
    type: "text",
    runs: true,
    engine: "neo4j",
    doc: "command that stops Neo4j, for --neo4j-method dump",
  },
  {
    name: "OPSCTL_NEO4J_START",
    type: "text",
    runs: true,
    engine: "neo4j",
    doc: "command that starts Neo4j again",
  },
  {
    name: "OPSCTL_NEO4J_ADMIN",
    type: "text",
    runs: true,
    engine: "neo4j",
    default: "neo4j-admin",
    doc: "how neo4j-admin is called here",
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
