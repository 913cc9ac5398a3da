import { appendFileSync, existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readOperations } from "../../../src/health/operation-stats.ts";
import { operationFiles, recordOperation } from "../../../src/health/operations.ts";

let dir: string;
let state: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-operations-"));
  state = join(dir, "state.db");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const line = (at: number, command: string, duration_ms: number, exit_code = 0) =>
  recordOperation(state, { at, command, duration_ms, exit_code });

test("counts, latency and errors by command; an answer of no is no error", async () => {
  line(1_000, "health", 100);
  line(2_000, "health", 300, 4);
  line(3_000, "backup", 5_000, 20);
  // cut off by a crash, and what is no operation
  appendFileSync(operationFiles(state).current, '{"at":4000,"comm\nnull\n{"at":"x"}\n');
  const stats = await readOperations(state, 0);
  expect(stats).toEqual({
    since: "1970-01-01T00:00:01.000Z",
    count: 3,
    errors: 1,
    commands: [
      {
        command: "health",
        count: 2,
        errors: 0,
        mean_ms: 200,
        max_ms: 300,
        last_at: "1970-01-01T00:00:02.000Z",
      },
      {
        command: "backup",
        count: 1,
        errors: 1,
        mean_ms: 5_000,
        max_ms: 5_000,
        last_at: "1970-01-01T00:00:03.000Z",
      },
    ],
  });
  expect((await readOperations(state, 2_500)).count).toBe(1);
  expect(statSync(operationFiles(state).current).mode & 0o777).toBe(0o600);
});

test("without a state folder nothing is written, and nothing is counted", async () => {
  const elsewhere = join(dir, "none", "state.db");
  recordOperation(elsewhere, { at: 1, command: "health", duration_ms: 1, exit_code: 0 });
  expect(existsSync(join(dir, "none"))).toBe(false);
  expect(await readOperations(elsewhere, 0)).toEqual({ since: null, count: 0, errors: 0, commands: [] });
});

test("a large log becomes the older one, and both are read", async () => {
  const { current, older } = operationFiles(state);
  line(1_000, "stats", 1);
  appendFileSync(current, " ".repeat(8 * 1024 * 1024));
  line(2_000, "stats", 1);
  line(3_000, "stats", 1);
  expect(statSync(older).size).toBeGreaterThan(8 * 1024 * 1024);
  expect((await readOperations(state, 0)).count).toBe(3);
});
