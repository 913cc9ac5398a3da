import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { collectStats } from "../../../src/health/stats.ts";
import { testCall } from "../../support/calls.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-stats-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("engines side by side, and files with what lies in their logs", async () => {
  const data = join(dir, "opsctl.db");
  const state = join(dir, "state.db");
  const probes = [
    {
      name: "sqlite" as const,
      title: "SQLite",
      probe: async () => ({
        selfTest: async () => {},
        probe: async () => {
          // opening creates the file: sizes are read afterwards
          writeFileSync(data, "x".repeat(100));
          writeFileSync(`${data}-wal`, "x".repeat(20));
          writeFileSync(`${data}-shm`, "x".repeat(3));
          return { version: "3.50.4", latency_ms: 0.1 };
        },
      }),
    },
  ];
  const files = [
    { name: "data", path: data },
    { name: "state", path: state },
  ];
  const stats = await collectStats(testCall(), { probes, files, budgetMs: 5_000 });
  expect(stats.files).toEqual([
    { name: "data", path: data, size_bytes: 123 },
    { name: "state", path: state, size_bytes: null },
  ]);
  expect(stats.engines.map(({ engine, status }) => [engine, status])).toEqual([
    ["neo4j", "not configured"],
    ["postgres", "not configured"],
    ["redis", "not configured"],
    ["sqlite", "connected"],
  ]);
  expect(stats.engines[3]).toMatchObject({ version: "3.50.4", latency_ms: 0.1, code: null, message: null });
});
