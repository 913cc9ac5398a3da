import type { EngineName } from "../errors.ts";
import { BACKUP_SETTINGS } from "./settings-backup.ts";
import { CONNECTION_SETTINGS } from "./settings-connections.ts";

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
  ...CONNECTION_SETTINGS,
  ...BACKUP_SETTINGS,
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
    doc: "time that health, doctor, stats and metrics give each server for its first answer",
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

/** The setting that says how each engine's own shell is called here. */
export const SHELL_SETTINGS = {
  neo4j: "OPSCTL_CYPHER_SHELL",
  postgres: "OPSCTL_PSQL",
  redis: "OPSCTL_REDIS_CLI",
  sqlite: "OPSCTL_SQLITE3",
} as const satisfies Record<EngineName, SettingName>;
