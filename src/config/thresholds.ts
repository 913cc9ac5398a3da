import { usageError } from "../errors.ts";
import { suggest } from "../suggest.ts";

export interface Threshold {
  name: string;
  default: number;
  min: number;
  max: number;
  /** What the number counts. */
  unit: "percent" | "hours" | "days" | "seconds" | "minutes" | "milliseconds" | "bytes" | "count" | "ratio";
  /** What it decides. */
  doc: string;
}

/**
 * From where on something is worth a look: one list for `health`, `doctor` and the alert rules. Set by the block `[thresholds]` of
 * opsctl.toml or by OPSCTL_THRESHOLDS.
 */
export const THRESHOLDS = [
  { name: "disk_warning", default: 85, min: 1, max: 100, unit: "percent", doc: "disk in use: warning" },
  { name: "disk_critical", default: 95, min: 1, max: 100, unit: "percent", doc: "disk in use: critical" },
  { name: "inodes_warning", default: 90, min: 1, max: 100, unit: "percent", doc: "inodes in use: warning" },
  { name: "memory_warning", default: 90, min: 1, max: 100, unit: "percent", doc: "memory in use: warning" },
  { name: "memory_critical", default: 97, min: 1, max: 100, unit: "percent", doc: "memory in use: critical" },
  { name: "cpu_busy", default: 90, min: 1, max: 100, unit: "percent", doc: "processor in use: busy" },
  {
    name: "connections",
    default: 80,
    min: 1,
    max: 100,
    unit: "percent",
    doc: "connections of a server in use",
  },
  {
    name: "cache_hit",
    default: 95,
    min: 0,
    max: 100,
    unit: "percent",
    doc: "PostgreSQL cache hits, at least",
  },
  {
    name: "long_transaction",
    default: 300,
    min: 1,
    max: 604_800,
    unit: "seconds",
    doc: "a transaction that runs so long",
  },
  {
    name: "idle_in_transaction",
    default: 60,
    min: 1,
    max: 604_800,
    unit: "seconds",
    doc: "a session idle in a transaction for so long",
  },
  {
    name: "blocked",
    default: 5,
    min: 1,
    max: 604_800,
    unit: "seconds",
    doc: "a session that waits so long for the lock of another",
  },
  {
    name: "slow_transaction",
    default: 30,
    min: 1,
    max: 604_800,
    unit: "seconds",
    doc: "a Neo4j transaction that runs so long",
  },
  {
    name: "wraparound",
    default: 40,
    min: 1,
    max: 100,
    unit: "percent",
    doc: "transaction ids used before wraparound: warning; twice that: error",
  },
  {
    name: "bloat",
    default: 50,
    min: 1,
    max: 100,
    unit: "percent",
    doc: "share of a large table or index that is estimated to be empty",
  },
  {
    name: "dead_rows",
    default: 20,
    min: 1,
    max: 100,
    unit: "percent",
    doc: "dead rows of a table that vacuum has not removed",
  },
  {
    name: "large",
    default: 10_485_760,
    min: 0,
    max: 1_125_899_906_842_624,
    unit: "bytes",
    doc: "tables, indexes and files below this size are never worth a finding about their size or use",
  },
  {
    name: "redis_memory",
    default: 90,
    min: 1,
    max: 100,
    unit: "percent",
    doc: "memory of Redis against maxmemory",
  },
  {
    name: "redis_hit_rate",
    default: 50,
    min: 0,
    max: 100,
    unit: "percent",
    doc: "hits of Redis, at least (from 10,000 lookups on)",
  },
  {
    name: "redis_fragmentation",
    default: 1.5,
    min: 1,
    max: 100,
    unit: "ratio",
    doc: "resident memory of Redis per used byte",
  },
  { name: "heap", default: 90, min: 1, max: 100, unit: "percent", doc: "heap of Neo4j in use" },
  {
    name: "sqlite_wal",
    default: 67_108_864,
    min: 1,
    max: 1_125_899_906_842_624,
    unit: "bytes",
    doc: "write-ahead log of a SQLite file",
  },
  {
    name: "sqlite_free",
    default: 25,
    min: 1,
    max: 100,
    unit: "percent",
    doc: "free pages of a SQLite file, from which VACUUM pays",
  },
  {
    name: "backup_age",
    default: 26,
    min: 1,
    max: 87_600,
    unit: "hours",
    doc: "age of the newest complete and verified archive",
  },
  {
    name: "drill_age",
    default: 30,
    min: 1,
    max: 3_650,
    unit: "days",
    doc: "time since an archive was last drilled",
  },
  {
    name: "queue_age",
    default: 15,
    min: 1,
    max: 525_600,
    unit: "minutes",
    doc: "age of the oldest write that waits for a server",
  },
  {
    name: "password_length",
    default: 20,
    min: 1,
    max: 1_000,
    unit: "count",
    doc: "characters that a password should have",
  },
] as const satisfies readonly Threshold[];

export type ThresholdName = (typeof THRESHOLDS)[number]["name"];
export type Thresholds = Readonly<Record<ThresholdName, number>>;

/** All thresholds with their defaults. */
export const DEFAULT_THRESHOLDS: Thresholds = Object.fromEntries(
  THRESHOLDS.map((threshold) => [threshold.name, threshold.default]),
) as Record<ThresholdName, number>;

/**
 * Reads `disk_warning=80, cache_hit=90` over the defaults.
 * @throws OpsError `usage` for an unknown name, or a number outside its limits
 */
export function parseThresholds(text: string | undefined): Thresholds {
  const values: Record<string, number> = { ...DEFAULT_THRESHOLDS };
  for (const part of (text ?? "").split(",")) {
    if (part.trim() === "") continue;
    const [name = "", value = ""] = part.split("=").map((word) => word.trim());
    values[name] = checked(name, value);
  }
  for (const pair of ["disk", "memory"]) {
    const [warning, critical] = [values[`${pair}_warning`]!, values[`${pair}_critical`]!];
    if (warning > critical) {
      throw usageError(
        `OPSCTL_THRESHOLDS: ${pair}_warning (${warning}) is above ${pair}_critical (${critical})`,
        "raise the second, or lower the first",
      );
    }
  }
  return values as Thresholds;
}

function checked(name: string, value: string): number {
  const known = THRESHOLDS.find((threshold) => threshold.name === name);
  const names = THRESHOLDS.map((threshold) => threshold.name);
  if (!known) {
    throw usageError(
      `OPSCTL_THRESHOLDS: there is no threshold "${name}"`,
      suggest(name, names) ?? `they are: ${names.join(", ")}`,
    );
  }
  const number = value === "" ? Number.NaN : Number(value);
  if (!(number >= known.min && number <= known.max)) {
    throw usageError(
      `OPSCTL_THRESHOLDS: ${name}: "${value}" is not a number from ${known.min} to ${known.max} (${known.unit})`,
    );
  }
  return number;
}
