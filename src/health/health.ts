import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";
import {
  type CpuReading,
  type DiskReading,
  type HostOptions,
  type HostReadings,
  type MemoryReading,
  readHost,
} from "./host.ts";
import { type DatabaseState, type EngineProbe, type EngineReport, probeAll } from "./probes.ts";

/** Percent in use from which a reading counts as warning, critical or busy. */
export const THRESHOLDS = {
  disk: { warning: 85, critical: 95 },
  memory: { warning: 90, critical: 97 },
  cpu: { busy: 90 },
} as const;

/** Time for each probe unless the caller says otherwise, ms. */
export const HEALTH_BUDGET_MS = 5_000;

export type OverallStatus = "healthy" | "degraded" | "unhealthy";
export type CheckStatus = "ok" | "warning" | "critical";

/** The fullest of the file systems, and all of them. */
export interface DiskCheck extends DiskReading {
  status: CheckStatus;
  disks: (DiskReading & { status: CheckStatus })[];
}

/** The shapes of both guides: `checks` with `database`, and `databases` with a state each. */
export interface HealthReport {
  status: OverallStatus;
  /** RFC 3339, UTC. */
  timestamp: string;
  checks: {
    disk: DiskCheck;
    memory: MemoryReading & { status: CheckStatus };
    cpu: CpuReading & { status: "ok" | "busy" };
    /** `connected`: a store of the incident memory answers. */
    database: { status: CheckStatus; connected: boolean };
  };
  databases: Record<"neo4j" | "postgresql" | "redis" | "sqlite", DatabaseState>;
  engines: EngineReport[];
}

export interface HealthOptions {
  /** The configured engines; all others are reported as not configured. */
  probes: readonly EngineProbe[];
  /** Data paths, and where the host's file system begins. */
  host: HostOptions;
  /** Time for each probe, ms. */
  budgetMs?: number;
}

/**
 * Reads the host and asks all engines at the same time.
 * @throws OpsError only when the call is interrupted: a server that does not answer is a result
 */
export async function checkHealth(call: Call, options: HealthOptions): Promise<HealthReport> {
  const { probes, host, budgetMs = HEALTH_BUDGET_MS } = options;
  const [readings, engines] = await Promise.all([readHost(host), probeAll(call, probes, budgetMs)]);
  return assess(readings, engines, new Date());
}

/**
 * The verdict on readings. Something is wrong when a configured engine is disconnected, a disk or the memory is at a
 * threshold; a wrong disk or engine while no store of the memory answers is unhealthy, everything else is degraded. The
 * processor never counts: a busy host is not a broken one.
 */
export function assess(host: HostReadings, engines: readonly EngineReport[], now: Date): HealthReport {
  const disk = diskCheck(host.disks);
  const memory = { status: levelOf(host.memory.usage_percent, THRESHOLDS.memory), ...host.memory };
  const cpu = { status: cpuStatus(host.cpu), ...host.cpu };
  const database = databaseCheck(engines);
  return {
    status: overall(disk.status, memory.status, database),
    timestamp: now.toISOString(),
    checks: { disk, memory, cpu, database },
    databases: {
      neo4j: stateOf(engines, "neo4j"),
      postgresql: stateOf(engines, "postgres"),
      redis: stateOf(engines, "redis"),
      sqlite: stateOf(engines, "sqlite"),
    },
    engines: [...engines],
  };
}

function overall(
  disk: CheckStatus,
  memory: CheckStatus,
  database: HealthReport["checks"]["database"],
): OverallStatus {
  if (!database.connected && (database.status !== "ok" || disk === "critical")) return "unhealthy";
  const allWell = disk === "ok" && memory === "ok" && database.status === "ok";
  return allWell ? "healthy" : "degraded";
}

/** Engines that hold the incident memory; Redis is a cache. */
const STORES: readonly EngineName[] = ["neo4j", "postgres", "sqlite"];

function databaseCheck(engines: readonly EngineReport[]): HealthReport["checks"]["database"] {
  const connected = engines.some(({ engine, status }) => STORES.includes(engine) && status === "connected");
  const missing = engines.some(({ status }) => status === "disconnected");
  return { status: missing ? (connected ? "warning" : "critical") : "ok", connected };
}

function diskCheck(readings: readonly DiskReading[]): DiskCheck {
  const disks = readings.map((disk) => ({ status: diskStatus(disk), ...disk }));
  const rank = (disk: (typeof disks)[number]) =>
    ["ok", "warning", "critical"].indexOf(disk.status) * 1_000 + (disk.usage_percent ?? 0);
  const fullest = [...disks].sort((a, b) => rank(b) - rank(a))[0];
  const none = {
    path: "",
    usage_percent: null,
    total_bytes: null,
    free_bytes: null,
    message: "no path given",
  };
  return { ...(fullest ?? { status: "ok", ...none }), disks };
}

/** A disk that cannot be read deserves a look, and says nothing about the data. */
function diskStatus({ usage_percent }: DiskReading): CheckStatus {
  return usage_percent === null ? "warning" : levelOf(usage_percent, THRESHOLDS.disk);
}

function cpuStatus({ usage_percent }: CpuReading): "ok" | "busy" {
  return (usage_percent ?? 0) >= THRESHOLDS.cpu.busy ? "busy" : "ok";
}

function levelOf(usagePercent: number, limits: { warning: number; critical: number }): CheckStatus {
  if (usagePercent >= limits.critical) return "critical";
  return usagePercent >= limits.warning ? "warning" : "ok";
}

function stateOf(engines: readonly EngineReport[], name: EngineName): DatabaseState {
  return engines.find(({ engine }) => engine === name)?.status ?? "not configured";
}
