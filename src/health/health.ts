import type { Call } from "../call.ts";
import type { Thresholds } from "../config/thresholds.ts";
import type { EngineName } from "../errors.ts";
import {
  type CpuReading,
  type DiskReading,
  type HostOptions,
  type HostReadings,
  type MemoryReading,
  readHost,
} from "./host.ts";
import { askHttp, type HttpReport } from "./http.ts";
import { type DatabaseState, type EngineProbe, type EngineReport, probeAll } from "./probes.ts";

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
  /** Neo4j's HTTP port; null: none is configured. */
  http: HttpReport | null;
  /** What an operator must end before anything else: a restore that a process died in. */
  unfinished_restore: string | null;
}

export interface HealthOptions {
  /** The engines that are asked. */
  probes: readonly EngineProbe[];
  /** The configured ones: those of them that are not asked are reported so. */
  configured?: readonly EngineName[];
  /** Data paths, and where the host's file system begins. */
  host: HostOptions;
  /** Time for each probe, ms. */
  budgetMs: number;
  thresholds: Thresholds;
  /** With the write test in each engine. */
  deep: boolean;
  /** Neo4j's HTTP address, when it is to be asked. */
  httpUrl: string | undefined;
  unfinishedRestore(): Promise<string | null>;
}

/**
 * Reads the host and asks all engines at the same time.
 * @throws OpsError only when the call is interrupted: a server that does not answer is a result
 */
export async function checkHealth(call: Call, options: HealthOptions): Promise<HealthReport> {
  const { probes, configured, host, budgetMs, deep, httpUrl } = options;
  const asking = probeAll(call, probes, budgetMs, deep, configured);
  const [readings, engines, http, unfinished] = await Promise.all([
    readHost({ ...host, until: asking.catch(() => {}) }),
    asking,
    httpUrl === undefined ? null : askHttp(call, httpUrl, budgetMs),
    options.unfinishedRestore(),
  ]);
  return assess({ host: readings, engines, http, unfinished }, options.thresholds, new Date());
}

/** All that a verdict rests on. */
export interface HealthReadings {
  host: HostReadings;
  engines: readonly EngineReport[];
  http: HttpReport | null;
  /** A restore that is not over. */
  unfinished: string | null;
}

/**
 * The verdict on readings. Something is wrong when a configured engine is disconnected or fails its write test, the HTTP port does not answer,
 * a restore is not over, a disk or the memory is at a threshold; a wrong disk or engine while no store of the memory answers is
 * unhealthy, everything else is degraded. The processor never counts: a busy host is not a broken one.
 */
export function assess(
  { host, engines, http, unfinished }: HealthReadings,
  thresholds: Thresholds,
  now: Date,
): HealthReport {
  const disk = diskCheck(host.disks, thresholds);
  const memory = {
    status: levelOf(host.memory.usage_percent, thresholds.memory_warning, thresholds.memory_critical),
    ...host.memory,
  };
  const cpu = { status: cpuStatus(host.cpu, thresholds.cpu_busy), ...host.cpu };
  const database = databaseCheck(engines);
  const isRestWell =
    http?.status !== "disconnected" &&
    unfinished === null &&
    engines.every(({ write_test: test }) => test?.ok !== false);
  return {
    status: overall(disk.status, memory.status, database, isRestWell),
    timestamp: now.toISOString(),
    checks: { disk, memory, cpu, database },
    databases: {
      neo4j: stateOf(engines, "neo4j"),
      postgresql: stateOf(engines, "postgres"),
      redis: stateOf(engines, "redis"),
      sqlite: stateOf(engines, "sqlite"),
    },
    engines: [...engines],
    http,
    unfinished_restore: unfinished,
  };
}

function overall(
  disk: CheckStatus,
  memory: CheckStatus,
  database: HealthReport["checks"]["database"],
  isRestWell: boolean,
): OverallStatus {
  if (!database.connected && (database.status !== "ok" || disk === "critical")) return "unhealthy";
  const allWell = disk === "ok" && memory === "ok" && database.status === "ok" && isRestWell;
  return allWell ? "healthy" : "degraded";
}

/** Engines that hold the incident memory; Redis is a cache. */
const STORES: readonly EngineName[] = ["neo4j", "postgres", "sqlite"];

function databaseCheck(engines: readonly EngineReport[]): HealthReport["checks"]["database"] {
  const connected = engines.some(({ engine, status }) => STORES.includes(engine) && status === "connected");
  const missing = engines.some(({ status }) => status === "disconnected");
  return { status: missing ? (connected ? "warning" : "critical") : "ok", connected };
}

function diskCheck(readings: readonly DiskReading[], thresholds: Thresholds): DiskCheck {
  const disks = readings.map((disk) => ({ status: diskStatus(disk, thresholds), ...disk }));
  const rank = (disk: (typeof disks)[number]) =>
    ["ok", "warning", "critical"].indexOf(disk.status) * 1_000 + (disk.usage_percent ?? 0);
  const fullest = [...disks].sort((a, b) => rank(b) - rank(a))[0];
  const none = {
    path: "",
    usage_percent: null,
    total_bytes: null,
    used_bytes: null,
    free_bytes: null,
    message: "no path given",
  };
  return { ...(fullest ?? { status: "ok", ...none }), disks };
}

/** A disk that cannot be read deserves a look, and says nothing about the data. */
function diskStatus({ usage_percent }: DiskReading, thresholds: Thresholds): CheckStatus {
  if (usage_percent === null) return "warning";
  return levelOf(usage_percent, thresholds.disk_warning, thresholds.disk_critical);
}

function cpuStatus({ usage_percent }: CpuReading, busy: number): "ok" | "busy" {
  return (usage_percent ?? 0) >= busy ? "busy" : "ok";
}

function levelOf(usagePercent: number, warning: number, critical: number): CheckStatus {
  if (usagePercent >= critical) return "critical";
  return usagePercent >= warning ? "warning" : "ok";
}

function stateOf(engines: readonly EngineReport[], name: EngineName): DatabaseState {
  return engines.find(({ engine }) => engine === name)?.status ?? "not configured";
}
