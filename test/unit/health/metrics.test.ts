import { describe, expect, it } from "vitest";
import { expose } from "../../../src/health/metrics/exposition.ts";
import { FAMILIES } from "../../../src/health/metrics/families.ts";
import { metricsProblems, valuesOf } from "../../support/promtool.ts";
import { DEEP, HOSTILE, snapshot } from "./metrics-snapshot.ts";

const { text, metrics } = expose(snapshot());
const values = valuesOf(text);

describe("the list of metrics", () => {
  it("names each once, in the prefix of opsctl or of the guides", () => {
    const names = FAMILIES.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => !/^(opsctl|dashboard)_[a-z0-9_]+$/.test(name))).toEqual([]);
  });

  it("keeps _total for counters, but for the guides' name", () => {
    const wrong = FAMILIES.filter(({ name, type }) => (type === "counter") !== name.endsWith("_total"));
    expect(wrong.map(({ name, type }) => `${name} ${type}`)).toEqual(["dashboard_agents_total untyped"]);
  });

  it("gives every point exactly the labels of its family", () => {
    for (const { name, labels, read } of FAMILIES) {
      for (const point of read(snapshot()))
        expect({ name, labels: Object.keys(point.labels) }).toEqual({ name, labels });
    }
  });
});

describe("the exposition", () => {
  it("is what promtool takes, hostile names and all", async () => {
    expect(await metricsProblems(text)).toBe("");
  });

  it("says help and type of each family once, before its values, and ends with a line feed", () => {
    const declared = text.match(/^# TYPE \S+/gm)!;
    expect(new Set(declared).size).toBe(declared.length);
    expect(text.match(/^# HELP /gm)!.length).toBe(declared.length);
    expect(text.endsWith("\n")).toBe(true);
    expect(text).not.toContain("\n\n");
  });

  it("has no series twice", () => {
    expect(values.size).toBe(metrics);
  });

  it("escapes quotes, backslashes and line feeds, and lets no control character through", () => {
    expect(text).toContain('{replica="a\\"b\\\\c\\nd?[31m?{x=\\"1\\"} 2"} 5\n');
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(text).not.toContain(HOSTILE);
  });

  it("cuts names, and adds up what looks the same then", () => {
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThan(400);
    const labels = [...values].filter(([name]) => name.startsWith("opsctl_neo4j_label_nodes"));
    expect(labels).toEqual([
      [`opsctl_neo4j_label_nodes{label="${"l".repeat(119)}…"}`, 7],
      ['opsctl_neo4j_label_nodes{label="other"}', 5],
    ]);
  });

  it("shows the largest twenty of a list and the sum of the others", () => {
    const tables = [...values].filter(([name]) => name.startsWith("opsctl_postgres_table_size_bytes"));
    expect(tables).toHaveLength(21);
    const rest = Array.from({ length: 12 }, (_, index) => 1_000 - (18 + index));
    expect(values.get('opsctl_postgres_table_size_bytes{schema="",table="other"}')).toBe(
      rest.reduce((sum, size) => sum + size, 0),
    );
    expect(values.get('opsctl_postgres_table_rows{schema="",table="other"}')).toBe(1_200);
  });

  it("adds the rest to a name that is called as the rest is", () => {
    const rest = Array.from({ length: 7 }, (_, index) => 100 - (18 + index));
    expect(values.get('opsctl_redis_namespace_keys{namespace="other"}')).toBe(
      200 + rest.reduce((sum, keys) => sum + keys, 0),
    );
  });

  it.each([
    ['opsctl_up{engine="postgres"}', 1],
    ['opsctl_up{engine="redis"}', 0],
    ["opsctl_collected_timestamp_seconds", Date.parse("2026-11-21T22:00:00.000Z") / 1000],
    ['opsctl_host_disk_used_ratio{path="/data"}', 0.5],
    [`opsctl_host_disk_used_ratio{path="${DEEP}/b"}`, 0.5],
    ['opsctl_postgres_replica_lag_bytes{replica="walreceiver"}', 9],
    ["opsctl_postgres_replicas", 3],
    ["opsctl_postgres_replicas_not_streaming", 1],
    ['opsctl_postgres_table_data_size_bytes{schema="public",table="t0"}', 900],
    ["dashboard_cpu_usage_percent", 12.5],
    ["dashboard_disk_usage_bytes", 47],
    ["dashboard_memory_usage_bytes", 100],
    ["dashboard_agents_total", 1],
    ["opsctl_backup_oldest_success_timestamp_seconds", 1],
    ['opsctl_backup_engine_last_success_timestamp_seconds{engine="postgres"}', 2],
    ['opsctl_backup_engine_last_success_timestamp_seconds{engine="redis"}', 0],
    ["opsctl_queue_oldest_timestamp_seconds", 1.5],
    ['opsctl_neo4j_indexes{state="FAILED"}', 1],
    ['opsctl_neo4j_indexes{state="POPULATING"}', 0],
    ["opsctl_neo4j_heap_used_ratio", 0.5],
    ["opsctl_redis_master_link_up", 0],
    ['opsctl_redis_info{version="8.0.0",role="master",policy="allkeys-lru"}', 1],
    ["opsctl_operations_since_timestamp_seconds", Date.parse("2026-11-21T22:00:00.000Z") / 1000],
    ['opsctl_operations{command="backup"}', 3],
    ['opsctl_operation_errors{command="backup"}', 1],
    ['opsctl_operation_duration_mean_seconds{command="backup"}', 1.5],
  ])("says %s %d", (name, value) => {
    expect(values.get(name)).toBe(value);
  });

  it.each([
    ["an engine that is not configured", 'opsctl_up{engine="sqlite"}'],
    ["a drill that never was", "opsctl_backup_last_drill_timestamp_seconds"],
    ["a base backup, which is no replica", 'opsctl_postgres_replica_lag_bytes{replica="pg_basebackup"}'],
    ["a limit that is not set", "opsctl_redis_memory_max_bytes"],
    ["a figure that may not be seen", "opsctl_postgres_sessions_waiting"],
    ["slow transactions that may not be seen", "opsctl_neo4j_transactions_slow"],
    ["a file that is not there", 'opsctl_file_size_bytes{file="state"}'],
  ])("leaves out %s: %s", (_what, name) => {
    expect(values.has(name)).toBe(false);
  });

  it("leaves out all of what is not known, and stays whole", async () => {
    const nothing = expose(
      snapshot({
        figures: { postgres: null, neo4j: null, redis: null, sqlite: null },
        archives: null,
        memory: null,
        queue: null,
        restores_unfinished: null,
      }),
    ).text;
    expect(nothing).not.toMatch(
      /^(# \w+ )?(opsctl_(postgres|neo4j|redis|sqlite|backup|queue|memory|restores)|dashboard_agents)/m,
    );
    expect(nothing).toContain('opsctl_statistics_success{engine="postgres"} 0\n');
    expect(await metricsProblems(nothing)).toBe("");
  });
});
