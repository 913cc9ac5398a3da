import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { currentAlerts } from "../../../scripts/docs.ts";
import { COMMAND_NAMES } from "../../../src/cli.ts";
import { DEFAULT_THRESHOLDS, parseThresholds } from "../../../src/config/thresholds.ts";
import { FAMILIES } from "../../../src/health/metrics/families.ts";
import { alertRules, RULE_GROUPS } from "../../../src/health/metrics/rules.ts";
import { ROOT } from "../../support/cli.ts";
import { rulesProblems } from "../../support/promtool.ts";

const RULES = RULE_GROUPS.flatMap(({ rules }) => rules);
/** Short, so that a test need not play a month. */
const THRESHOLDS = parseThresholds("backup_age=2,drill_age=1");

/** A steady value, or with `perMinute` a growing one. */
type Series = readonly [metric: string, value: number, perMinute?: number];

interface Case {
  /** Makes this alert fire, and no other. */
  fires: readonly Series[];
  /** Just not enough. */
  quiet: readonly Series[];
  minutes?: number;
}

/** Longer than any rule waits. */
const MINUTES = 70;

const table = 'schema="public",table="t"';
const disk = 'opsctl_host_disk_used_ratio{path="/d"}';

const CASES: Readonly<Record<string, Case>> = {
  OpsctlEngineDown: { fires: [['opsctl_up{engine="redis"}', 0]], quiet: [['opsctl_up{engine="redis"}', 1]] },
  OpsctlMetricsStale: {
    fires: [["opsctl_collected_timestamp_seconds", 0]],
    quiet: [["opsctl_collected_timestamp_seconds", -890, 60]],
  },
  OpsctlMetricsMissing: { fires: [["up", 1]], quiet: [["opsctl_collected_timestamp_seconds", 0, 60]] },
  OpsctlStatisticsFailing: {
    fires: [['opsctl_statistics_success{engine="redis"}', 0]],
    quiet: [['opsctl_statistics_success{engine="redis"}', 1]],
  },
  OpsctlQueueStuck: {
    fires: [["opsctl_queue_oldest_timestamp_seconds", 60]],
    quiet: [["opsctl_queue_oldest_timestamp_seconds", -890, 60]],
  },
  OpsctlQueueRejected: { fires: [["opsctl_queue_rejected", 1]], quiet: [["opsctl_queue_rejected", 0]] },
  OpsctlRestoreUnfinished: {
    fires: [["opsctl_restores_unfinished", 1]],
    quiet: [["opsctl_restores_unfinished", 0]],
  },
  OpsctlBackupMissing: {
    fires: [["opsctl_backup_last_success_timestamp_seconds", 0]],
    quiet: [["opsctl_backup_last_success_timestamp_seconds", 1]],
    minutes: 110,
  },
  OpsctlBackupTooOld: {
    fires: [["opsctl_backup_last_success_timestamp_seconds", 1]],
    quiet: [["opsctl_backup_last_success_timestamp_seconds", -7100, 60]],
    minutes: 180,
  },
  OpsctlBackupEngineMissing: {
    fires: [
      ['opsctl_backup_engine_last_success_timestamp_seconds{engine="redis"}', 0],
      ["opsctl_backup_last_success_timestamp_seconds", 1, 60],
    ],
    quiet: [
      ['opsctl_backup_engine_last_success_timestamp_seconds{engine="redis"}', 1, 60],
      ["opsctl_backup_last_success_timestamp_seconds", 1, 60],
    ],
    minutes: 240,
  },
  OpsctlBackupNotDrilled: {
    fires: [["opsctl_backup_oldest_success_timestamp_seconds", 0]],
    // an old archive that was drilled since
    quiet: [
      ["opsctl_backup_oldest_success_timestamp_seconds", 0],
      ["opsctl_backup_last_drill_timestamp_seconds", 30 * 60],
    ],
    minutes: 24 * 60 + 70,
  },
  OpsctlDiskFilling: { fires: [[disk, 0.85]], quiet: [[disk, 0.849]] },
  OpsctlDiskFull: { fires: [[disk, 0.95]], quiet: [[disk, 0.8]] },
  OpsctlMemoryHigh: {
    fires: [["opsctl_host_memory_used_ratio", 0.9]],
    quiet: [["opsctl_host_memory_used_ratio", 0.89]],
  },
  OpsctlMemoryExhausted: {
    fires: [["opsctl_host_memory_used_ratio", 0.97]],
    quiet: [["opsctl_host_memory_used_ratio", 0.5]],
  },
  OpsctlCpuBusy: {
    fires: [["opsctl_host_cpu_used_ratio", 1]],
    quiet: [["opsctl_host_cpu_used_ratio", 0.89]],
  },
  OpsctlPostgresConnections: {
    fires: [
      ["opsctl_postgres_connections_used", 78],
      ["opsctl_postgres_connections_max", 100],
      ["opsctl_postgres_connections_reserved", 3],
    ],
    quiet: [
      ["opsctl_postgres_connections_used", 77],
      ["opsctl_postgres_connections_max", 100],
      ["opsctl_postgres_connections_reserved", 3],
    ],
  },
  OpsctlPostgresLocks: {
    fires: [["opsctl_postgres_sessions_waiting", 1]],
    quiet: [["opsctl_postgres_sessions_waiting", 0]],
  },
  OpsctlPostgresDeadlocks: {
    fires: [["opsctl_postgres_deadlocks_total", 0, 1]],
    quiet: [["opsctl_postgres_deadlocks_total", 9]],
  },
  OpsctlPostgresWraparound: {
    fires: [["opsctl_postgres_wraparound_used_ratio", 0.4]],
    quiet: [["opsctl_postgres_wraparound_used_ratio", 0.39]],
  },
  OpsctlPostgresWraparoundNear: {
    fires: [["opsctl_postgres_wraparound_used_ratio", 0.8]],
    quiet: [["opsctl_postgres_wraparound_used_ratio", 0.1]],
  },
  OpsctlPostgresCacheHit: {
    fires: [
      ["opsctl_postgres_cache_hit_ratio", 0.94],
      ["opsctl_postgres_size_bytes", 10_485_760],
      ['opsctl_postgres_transactions_total{outcome="committed"}', 0, 200],
    ],
    // just loaded, read once
    quiet: [
      ["opsctl_postgres_cache_hit_ratio", 0.1],
      ["opsctl_postgres_size_bytes", 10_485_760],
      ['opsctl_postgres_transactions_total{outcome="committed"}', 50_000, 20],
    ],
    minutes: 180,
  },
  OpsctlPostgresDeadRows: {
    fires: [
      [`opsctl_postgres_table_dead_rows{${table}}`, 20],
      [`opsctl_postgres_table_rows{${table}}`, 80],
      [`opsctl_postgres_table_data_size_bytes{${table}}`, 20_000_000],
    ],
    quiet: [
      ['opsctl_postgres_table_dead_rows{schema="",table="other"}', 99],
      ['opsctl_postgres_table_rows{schema="",table="other"}', 1],
      ['opsctl_postgres_table_data_size_bytes{schema="",table="other"}', 20_000_000],
      [`opsctl_postgres_table_dead_rows{${table}}`, 99],
      [`opsctl_postgres_table_rows{${table}}`, 1],
      // large only with its indexes
      [`opsctl_postgres_table_size_bytes{${table}}`, 20_000_000],
      [`opsctl_postgres_table_data_size_bytes{${table}}`, 8192],
    ],
  },
  OpsctlPostgresReplication: {
    fires: [["opsctl_postgres_replicas_not_streaming", 1]],
    quiet: [["opsctl_postgres_replicas_not_streaming", 0]],
  },
  OpsctlPostgresReplicaLag: {
    fires: [['opsctl_postgres_replica_lag_bytes{replica="b"}', 167_772_160]],
    quiet: [['opsctl_postgres_replica_lag_bytes{replica="b"}', 16_777_216]],
  },
  OpsctlNeo4jHttpDown: { fires: [["opsctl_neo4j_http_up", 0]], quiet: [["opsctl_neo4j_http_up", 1]] },
  OpsctlNeo4jHeap: {
    fires: [["opsctl_neo4j_heap_used_ratio", 0.9]],
    quiet: [["opsctl_neo4j_heap_used_ratio", 0.89]],
  },
  OpsctlNeo4jIndexFailed: {
    fires: [['opsctl_neo4j_indexes{state="FAILED"}', 1]],
    quiet: [['opsctl_neo4j_indexes{state="ONLINE"}', 9]],
  },
  OpsctlNeo4jIndexPopulating: {
    fires: [['opsctl_neo4j_indexes{state="POPULATING"}', 1]],
    quiet: [['opsctl_neo4j_indexes{state="POPULATING"}', 0]],
  },
  OpsctlNeo4jSlowTransactions: {
    fires: [["opsctl_neo4j_transactions_slow", 1]],
    quiet: [["opsctl_neo4j_transactions_slow", 0]],
  },
  OpsctlRedisMemory: {
    fires: [
      ["opsctl_redis_memory_used_ratio", 0.9],
      ['opsctl_redis_info{version="8",role="master",policy="volatile-lru"}', 1],
    ],
    // a cache is full all its life
    quiet: [
      ["opsctl_redis_memory_used_ratio", 1],
      ['opsctl_redis_info{version="8",role="master",policy="allkeys-lru"}', 1],
    ],
  },
  OpsctlRedisEvictions: {
    fires: [["opsctl_redis_evicted_keys_total", 0, 5]],
    quiet: [["opsctl_redis_evicted_keys_total", 500]],
  },
  OpsctlRedisPersistence: {
    fires: [
      ["opsctl_redis_aof_last_write_success", 1],
      ["opsctl_redis_rdb_last_save_success", 0],
    ],
    quiet: [
      ["opsctl_redis_aof_last_write_success", 1],
      ["opsctl_redis_rdb_last_save_success", 1],
    ],
  },
  OpsctlRedisReplicaLag: {
    fires: [["opsctl_redis_replication_lag_bytes", 10_485_761]],
    quiet: [["opsctl_redis_replication_lag_bytes", 10_485_760]],
  },
  OpsctlRedisClients: {
    fires: [
      ['opsctl_redis_clients{state="connected"}', 80],
      ['opsctl_redis_clients{state="blocked"}', 90],
      ["opsctl_redis_clients_max", 100],
    ],
    quiet: [
      ['opsctl_redis_clients{state="connected"}', 79],
      ['opsctl_redis_clients{state="blocked"}', 90],
      ["opsctl_redis_clients_max", 100],
    ],
  },
  OpsctlRedisReplication: {
    fires: [["opsctl_redis_master_link_up", 0]],
    quiet: [["opsctl_redis_master_link_up", 1]],
  },
  OpsctlRedisRejectedConnections: {
    fires: [["opsctl_redis_rejected_connections_total", 0, 1]],
    quiet: [["opsctl_redis_rejected_connections_total", 4]],
  },
  OpsctlRedisHitRate: {
    fires: [
      ["opsctl_redis_keyspace_hits_total", 1_000_000, 80],
      ["opsctl_redis_keyspace_misses_total", 0, 120],
    ],
    // bad once, good for hours
    quiet: [
      ["opsctl_redis_keyspace_hits_total", 0, 200],
      ["opsctl_redis_keyspace_misses_total", 1_000_000],
    ],
    minutes: 180,
  },
  OpsctlRedisFragmentation: {
    fires: [
      ["opsctl_redis_memory_fragmentation_ratio", 1.5],
      ["opsctl_redis_memory_rss_bytes", 400_000_000],
      ["opsctl_redis_memory_used_bytes", 200_000_000],
    ],
    quiet: [
      ["opsctl_redis_memory_fragmentation_ratio", 11],
      ["opsctl_redis_memory_rss_bytes", 12_000_000],
      ["opsctl_redis_memory_used_bytes", 1_000_000],
    ],
  },
  OpsctlSqliteWal: {
    fires: [["opsctl_sqlite_wal_bytes", 67_108_864]],
    quiet: [["opsctl_sqlite_wal_bytes", 67_000_000]],
  },
  OpsctlSqliteFreePages: {
    fires: [
      ["opsctl_sqlite_free_bytes", 30_000_000],
      ["opsctl_sqlite_size_bytes", 100_000_000],
    ],
    quiet: [
      ["opsctl_sqlite_free_bytes", 3_000],
      ["opsctl_sqlite_size_bytes", 4_096],
    ],
  },
};

/** A history for promtool: these series, told apart by the label `case`, and the alerts that fire at its end. */
function played(
  minutes: number,
  series: readonly (readonly [Series, label: string])[],
  firing: readonly string[],
) {
  return {
    interval: "1m",
    input_series: series.map(([[metric, value, step = 0], label]) => ({
      series: metric.includes("{") ? metric.replace("{", `{${label},`) : `${metric}{${label}}`,
      values: `${value}+${step}x${minutes}`,
    })),
    promql_expr_test: [
      {
        expr: 'count by (alertname, case) (ALERTS{alertstate="firing"})',
        eval_time: `${minutes}m`,
        exp_samples: firing.map((labels) => ({ labels: `{${labels}}`, value: 1 })),
      },
    ],
  };
}

const CLOCK: Series = ["opsctl_collected_timestamp_seconds", 0, 60];
/** Fires where a series is missing, so it cannot share its history. */
const ABSENT = "OpsctlMetricsMissing";

/** All cases that take the same time in one history: starting one costs promtool more than playing it. */
function histories() {
  const cases = Object.entries(CASES).filter(([alert]) => alert !== ABSENT);
  const lasting = [...new Set(cases.map(([, { minutes = MINUTES }]) => minutes))];
  const shared = lasting.map((length) => {
    const own = cases.filter(([, { minutes = MINUTES }]) => minutes === length);
    const series = own.flatMap(([alert, { fires, quiet }]) => [
      ...fires.map((one) => [one, `case="${alert}"`] as const),
      ...quiet.map((one) => [one, `case="not ${alert}"`] as const),
    ]);
    const firing = own.map(([alert]) => `alertname="${alert}",case="${alert}"`);
    return played(length, [[CLOCK, 'case=""'], ...series], firing);
  });
  const absent = CASES[ABSENT]!.fires.map((one) => [one, 'case=""'] as const);
  return [...shared, played(MINUTES, absent, [`alertname="${ABSENT}"`])];
}

describe("alert rules", () => {
  it("are rules that promtool takes", async () => {
    expect(await rulesProblems(alertRules(DEFAULT_THRESHOLDS))).toBe("");
  });

  it("are in examples/alerts.yml as the code has them (else: npm run docs)", () => {
    expect(readFileSync(join(ROOT, "examples", "alerts.yml"), "utf8")).toBe(currentAlerts());
  });

  it("look only at metrics that exist", () => {
    const known = new Set(FAMILIES.map(({ name }) => name));
    for (const { alert, expr } of RULES) {
      const metrics = expr(DEFAULT_THRESHOLDS).match(/opsctl_\w+/g) ?? [];
      expect(metrics.length, alert).toBeGreaterThan(0);
      expect(metrics.filter((name) => !known.has(name))).toEqual([]);
    }
  });

  it("use only labels that their metrics have", () => {
    const labels = new Map(FAMILIES.map((family) => [family.name, family.labels]));
    for (const { alert, expr, summary, description } of RULES) {
      const [first = ""] = expr(DEFAULT_THRESHOLDS).match(/opsctl_\w+/) ?? [];
      const used = [...`${summary}${description}`.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!);
      expect({
        alert,
        unknown: used.filter((label) => ![...labels.get(first)!, "instance"].includes(label)),
      }).toEqual({
        alert,
        unknown: [],
      });
    }
  });

  it("name a command that exists", () => {
    for (const { alert, description } of RULES) {
      const commands = [...description.matchAll(/opsctl ([a-z-]+)/g)].map(([, command]) => command!);
      expect(commands.length, alert).toBeGreaterThan(0);
      expect(commands.filter((command) => !COMMAND_NAMES.includes(command))).toEqual([]);
    }
  });

  it("follow the thresholds", () => {
    const rules = alertRules(parseThresholds("disk_warning=70,disk_critical=80,queue_age=1"));
    expect(rules).toContain("(opsctl_host_disk_used_ratio >= 0.7) < 0.8");
    expect(rules).toContain("opsctl_queue_oldest_timestamp_seconds > 60");
  });

  it("fire when they must and only then, each of them", async () => {
    expect(Object.keys(CASES).sort()).toEqual(RULES.map(({ alert }) => alert).sort());
    const tests = histories();
    expect(await rulesProblems(alertRules(THRESHOLDS), { evaluation_interval: "5m", tests })).toBe("");
  });
});
