import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCall } from "../../../src/call.ts";
import { DEFAULT_THRESHOLDS } from "../../../src/config/thresholds.ts";
import { type EngineName, OpsError } from "../../../src/errors.ts";
import { assess, checkHealth, type HealthReport, type OverallStatus } from "../../../src/health/health.ts";
import type { HostReadings } from "../../../src/health/host.ts";
import {
  type DatabaseState,
  type EngineProbe,
  type EngineReport,
  probeAll,
} from "../../../src/health/probes.ts";
import { HANGS_MS, testCall } from "../../support/calls.ts";

const NOW = new Date("2025-01-23T12:00:00Z");

function host(given: { disk?: number | null; memory?: number; cpu?: number | null } = {}): HostReadings {
  const { disk = 40, memory = 50, cpu = 5 } = given;
  return {
    disks: [
      {
        path: "/data",
        usage_percent: disk,
        total_bytes: 1000,
        used_bytes: 900,
        free_bytes: 100,
        message: null,
      },
    ],
    memory: { usage_percent: memory, total_bytes: 1000, available_bytes: 500 },
    cpu: { usage_percent: cpu, load_1m: 0.1, load_5m: 0.1, load_15m: 0.1, cores: 2 },
  };
}

function engines(states: Partial<Record<EngineName, DatabaseState>>): EngineReport[] {
  return (["neo4j", "postgres", "redis", "sqlite"] as const).map((engine) => ({
    engine,
    status: states[engine] ?? "not configured",
    version: null,
    latency_ms: null,
    code: null,
    message: null,
    write_test: null,
  }));
}

function verdict(readings: HostReadings, reports: EngineReport[]): HealthReport {
  return assess({ host: readings, engines: reports, http: null, unfinished: null }, DEFAULT_THRESHOLDS, NOW);
}

const UP = "connected";
const DOWN = "disconnected";
const status = (readings: HostReadings, states: Partial<Record<EngineName, DatabaseState>>) =>
  verdict(readings, engines(states)).status;

describe("databases", () => {
  const cases: [Partial<Record<EngineName, DatabaseState>>, OverallStatus, string, boolean][] = [
    [{ sqlite: UP }, "healthy", "ok", true],
    [{ neo4j: UP, postgres: UP, redis: UP }, "healthy", "ok", true],
    [{ neo4j: DOWN, postgres: UP, redis: UP }, "degraded", "warning", true],
    [{ neo4j: UP, redis: DOWN }, "degraded", "warning", true],
    [{ sqlite: UP, redis: DOWN }, "degraded", "warning", true],
    [{ neo4j: DOWN, postgres: DOWN, redis: UP }, "unhealthy", "critical", false],
    [{ postgres: DOWN, redis: DOWN }, "unhealthy", "critical", false],
    [{ sqlite: DOWN }, "unhealthy", "critical", false],
  ];
  test.each(cases)("%j is %s", (states, overall, database, connected) => {
    const report = verdict(host(), engines(states));
    expect(report.status).toBe(overall);
    expect(report.checks.database).toEqual({ status: database, connected });
  });
});

describe("disk", () => {
  test.each([
    [84.9, "ok", "healthy"],
    [85, "warning", "degraded"],
    [94.9, "warning", "degraded"],
    [95, "critical", "degraded"],
    [100, "critical", "degraded"],
    [null, "warning", "degraded"],
  ] as const)("%s %% is %s", (disk, level, overall) => {
    const report = verdict(host({ disk }), engines({ sqlite: UP }));
    expect(report.checks.disk).toMatchObject({ status: level, usage_percent: disk });
    expect(report.status).toBe(overall);
  });

  test("critical is unhealthy when no memory store answers", () => {
    expect(status(host({ disk: 96 }), { redis: UP })).toBe("unhealthy");
    expect(status(host({ disk: 90 }), { redis: UP })).toBe("degraded");
    expect(status(host({ disk: 96 }), { postgres: DOWN, neo4j: UP })).toBe("degraded");
  });

  test("of several the worst counts, and all are listed", () => {
    const readings = host();
    readings.disks.push({ ...readings.disks[0]!, path: "/state", usage_percent: 97 });
    readings.disks.push({
      ...readings.disks[0]!,
      path: "/lost",
      usage_percent: null,
      message: "unreadable: EIO",
    });
    const { disk } = verdict(readings, engines({ sqlite: UP })).checks;
    expect(disk).toMatchObject({ status: "critical", path: "/state", usage_percent: 97 });
    expect(disk.disks.map(({ status }) => status)).toEqual(["ok", "critical", "warning"]);
    expect(verdict({ ...readings, disks: [] }, engines({ sqlite: UP })).status).toBe("healthy");
  });
});

describe("memory and processor", () => {
  test.each([
    [89.9, "ok", "healthy"],
    [90, "warning", "degraded"],
    [97, "critical", "degraded"],
  ] as const)("memory at %s %% is %s", (memory, level, overall) => {
    const report = verdict(host({ memory }), engines({ sqlite: UP }));
    expect(report.checks.memory).toMatchObject({ status: level, usage_percent: memory });
    expect(report.status).toBe(overall);
  });

  test.each([
    [89.9, "ok"],
    [100, "busy"],
    [null, "ok"],
  ] as const)("the processor at %s %% is %s and healthy", (cpu, level) => {
    const report = verdict(host({ cpu }), engines({ sqlite: UP }));
    expect(report.checks.cpu.status).toBe(level);
    expect(report.status).toBe("healthy");
  });

  test("thresholds of the configuration are the ones that count", () => {
    const thresholds = { ...DEFAULT_THRESHOLDS, disk_warning: 30, memory_critical: 95, memory_warning: 40 };
    const readings = { host: host(), engines: engines({ sqlite: UP }), http: null, unfinished: null };
    const { checks, status } = assess(readings, thresholds, NOW);
    expect([checks.disk.status, checks.memory.status, status]).toEqual(["warning", "warning", "degraded"]);
  });
});

test("both shapes of the guides", () => {
  const report = verdict(host(), engines({ neo4j: UP, postgres: DOWN }));
  expect(report.timestamp).toBe("2025-01-23T12:00:00.000Z");
  expect(report.databases).toEqual({
    neo4j: "connected",
    postgresql: "disconnected",
    redis: "not configured",
    sqlite: "not configured",
  });
  expect(Object.keys(report).slice(0, 5)).toEqual(["status", "timestamp", "checks", "databases", "engines"]);
  expect(Object.keys(report.checks)).toEqual(["disk", "memory", "cpu", "database"]);
});

const selfTest = async () => {};
const answers = (name: EngineName, version = "1.0"): EngineProbe => ({
  name,
  title: name,
  probe: async () => ({ selfTest, probe: async () => ({ version, latency_ms: 0.5 }) }),
});
const fails = (name: EngineName, error: Error): EngineProbe => ({
  name,
  title: name,
  probe: async () => ({ selfTest, probe: () => Promise.reject(error) }),
});
const hangs = (name: EngineName, title: string): EngineProbe => ({
  name,
  title,
  probe: async () => ({ selfTest, probe: () => new Promise(() => {}) }),
});

describe("probing", () => {
  let root: string;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "opsctl-health-"));
    mkdirSync(join(root, "proc"));
    writeFileSync(join(root, "proc/meminfo"), "MemTotal: 1000 kB\nMemAvailable: 900 kB\n");
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const statfs = async () => ({ bsize: 1n, blocks: 100n, bfree: 50n, bavail: 50n });

  test("a frozen server costs the budget once and delays no other", async () => {
    const startedAt = performance.now();
    const refused = new OpsError({ code: "auth", message: "refused", engine: "postgres" });
    const report = await checkHealth(testCall(), {
      probes: [
        hangs("neo4j", "Neo4j"),
        hangs("redis", "Redis"),
        fails("postgres", refused),
        answers("sqlite", "3.50"),
      ],
      host: { root, paths: ["/data"], sampleMs: 1, statfs },
      budgetMs: 200,
      configured: ["neo4j", "redis", "postgres", "sqlite"],
      thresholds: DEFAULT_THRESHOLDS,
      deep: false,
      httpUrl: undefined,
      unfinishedRestore: async () => null,
    });
    expect(performance.now() - startedAt).toBeLessThan(HANGS_MS);
    expect(report.status).toBe("degraded");
    expect(report.engines).toEqual([
      {
        engine: "neo4j",
        status: DOWN,
        version: null,
        latency_ms: null,
        code: "unreachable",
        message: "Neo4j gave no answer within 200 ms",
        write_test: null,
      },
      {
        engine: "postgres",
        status: DOWN,
        version: null,
        latency_ms: null,
        code: "auth",
        message: "refused",
        write_test: null,
      },
      {
        engine: "redis",
        status: DOWN,
        version: null,
        latency_ms: null,
        code: "unreachable",
        message: "Redis gave no answer within 200 ms",
        write_test: null,
      },
      {
        engine: "sqlite",
        status: UP,
        version: "3.50",
        latency_ms: 0.5,
        code: null,
        message: null,
        write_test: null,
      },
    ]);
  });

  test("a write test that fails or hangs is said, and its engine stays connected", async () => {
    const given = (name: EngineName, test: () => Promise<void>): EngineProbe => ({
      name,
      title: name,
      probe: async () => ({ selfTest: test, probe: async () => ({ version: "1", latency_ms: 1 }) }),
    });
    const broken = () =>
      Promise.reject(new OpsError({ code: "failed", message: "what was read is not what was set" }));
    const probes = [
      given("neo4j", selfTest),
      given("postgres", broken),
      given("redis", () => new Promise(() => {})),
    ];
    const reports = await probeAll(testCall(), probes, 100, true);
    expect(
      reports.slice(0, 3).map(({ status, write_test: test }) => [status, test?.ok, test?.message]),
    ).toEqual([
      [UP, true, null],
      [UP, false, "what was read is not what was set"],
      [UP, false, expect.stringContaining("gave no answer within")],
    ]);
    const readings = { host: host(), engines: reports, http: null, unfinished: null };
    expect(assess(readings, DEFAULT_THRESHOLDS, NOW).status).toBe("degraded");
  });

  test("a driver that cannot even be opened is a disconnected engine", async () => {
    const broken: EngineProbe = {
      name: "redis",
      title: "Redis",
      probe: () => Promise.reject(new Error("no driver")),
    };
    const [, , redis] = await probeAll(testCall(), [broken], 200);
    expect(redis).toMatchObject({ engine: "redis", status: DOWN, code: "failed" });
  });

  test("a probe is told when its time is over", async () => {
    let told: AbortSignal | undefined;
    const listens: EngineProbe = {
      name: "redis",
      title: "Redis",
      probe: async () => ({
        selfTest,
        probe: (call) => {
          told = call.signal;
          return new Promise(() => {});
        },
      }),
    };
    await probeAll(testCall(), [listens], 50);
    expect(told?.aborted).toBe(true);
  });

  test("the report comes before the call's own deadline", async () => {
    const reports = await probeAll(testCall(400), [hangs("neo4j", "Neo4j")], 60_000);
    expect(reports[0]).toMatchObject({ status: DOWN, code: "unreachable" });
  });

  test("an interrupt is no report", async () => {
    const interrupt = new AbortController();
    const call = createCall({ actor: "tester@host", signal: interrupt.signal });
    setTimeout(() => interrupt.abort(new OpsError({ code: "interrupted", message: "interrupted" })), 20);
    const work = probeAll(call, [hangs("neo4j", "Neo4j"), answers("sqlite")], 10_000);
    await expect(work).rejects.toMatchObject({ code: "interrupted" });
  });
});
