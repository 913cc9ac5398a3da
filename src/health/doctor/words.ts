/** How findings say engines, times and lists. */
import { DAY_MS } from "../../backup/timeline.ts";
import type { EngineName } from "../../errors.ts";

export const TITLES: Readonly<Record<EngineName, string>> = {
  neo4j: "Neo4j",
  postgres: "PostgreSQL",
  redis: "Redis",
  sqlite: "SQLite",
};

/** The variables that say where an engine is. */
export const VARIABLES: Readonly<Record<EngineName, string>> = {
  neo4j: "NEO4J_URI",
  postgres: "DATABASE_URL (or POSTGRES_HOST, POSTGRES_PORT)",
  redis: "REDIS_URL (or REDIS_HOST, REDIS_PORT)",
  sqlite: "OPSCTL_DB",
};

/** The systemd unit of an engine, as its packages call it. */
export const UNITS: Readonly<Record<EngineName, string>> = {
  neo4j: "neo4j",
  postgres: "postgresql",
  redis: "redis-server",
  sqlite: "",
};

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;

/** `50 minutes`, `27 hours`, `3 days`. */
export function span(ms: number): string {
  const [size, unit] =
    ms >= 2 * DAY_MS
      ? ([DAY_MS, "day"] as const)
      : ms >= 2 * HOUR_MS
        ? ([HOUR_MS, "hour"] as const)
        : ([MINUTE_MS, "minute"] as const);
  const count = Math.floor(Math.max(0, ms) / size);
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}

/** The first five of some names. */
export function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(", ");
  return names.length > 5 ? `${shown} and ${names.length - 5} more` : shown;
}

/** `1 file`, `3 files`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
