/**
 * `opsctl health --json` as a whole process: on a healthy stack of all four engines, beside a bare bundled script that imports the same drivers
 * and pings the same engines; then with three of the four frozen by SIGSTOP, against its budget.
 *
 *   npm run bench:health [-- --runs 20]
 *
 * Starts servers of its own and stops them.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { startServices, stopServices } from "../services/services.ts";
import { medians, timeNode } from "./lib/processes.ts";
import { markdownTable } from "./lib/table.ts";

const OPSCTL = join(import.meta.dirname, "../../bin/opsctl.js");
const HEALTH = [OPSCTL, "health", "neo4j", "postgres", "redis", "sqlite", "--json"];
const BUDGET_MS = 5_000;
const FROZEN_RUNS = 5;

const { values } = parseArgs({ options: { runs: { type: "string" } } });
const runs = Number(values.runs ?? 20);
// below the project, so that better-sqlite3 is found
const built = mkdtempSync(join(import.meta.dirname, "../../dist/bench-"));
const data = mkdtempSync(join(tmpdir(), "opsctl-bench-"));
const stateFile = join(data, "services.json");
const log = (line: string) => process.stderr.write(`${line}\n`);
try {
  const services = await startServices({ stateFile, log });
  mkdirSync(join(data, "home"));
  const env = {
    PATH: process.env["PATH"],
    HOME: join(data, "home"),
    NODE_COMPILE_CACHE: join(data, "compile-cache"),
    OPSCTL_DB: join(data, "data.db"),
    OPSCTL_STATE: join(data, "state.db"),
    ...services,
  };
  timeNode([OPSCTL, "init", "all", "--yes"], env);
  console.log(`Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model}, medians of ${runs}\n`);
  console.log(markdownTable(["whole process, four engines", "median", "ratio", "goal"], await healthy(env)));
  console.log(markdownTable(["three of four frozen (SIGSTOP)", "longest of five", "goal"], frozen(env)));
} finally {
  await stopServices({ stateFile, log });
  for (const folder of [built, data]) rmSync(folder, { recursive: true, force: true });
}

async function healthy(env: NodeJS.ProcessEnv): Promise<string[][]> {
  const bare = join(built, "bare.cjs");
  await build({
    entryPoints: [join(import.meta.dirname, "lib/bare-health.ts")],
    outfile: join(built, "pings.cjs"),
    bundle: true,
    minify: true,
    format: "cjs",
    platform: "node",
    external: ["better-sqlite3", "pg-native"],
  });
  writeFileSync(bare, 'require("node:module").enableCompileCache();\nrequire("./pings.cjs");\n');
  const [pings, whole, deep] = medians(runs, 3, [
    () => timeNode([bare], env),
    () => timeNode(HEALTH, env),
    () => timeNode([...HEALTH, "--deep"], env),
  ]) as [number, number, number];
  const row = (name: string, ms: number, goal: string) => {
    return [name, `${ms.toFixed(0)} ms`, `${(ms / pings).toFixed(2)} ×`, goal];
  };
  return [
    row("bare bundled script, the same drivers", pings, ""),
    row("`opsctl health --json`", whole, "≤ 1.3 ×"),
    row("`opsctl health --deep --json`", deep, ""),
  ];
}

/** Always thawed again: a stopped server could not be ended. */
function frozen(env: NodeJS.ProcessEnv): string[][] {
  const { processes } = JSON.parse(readFileSync(stateFile, "utf8")) as {
    processes: Record<string, { pid: number }>;
  };
  const pids = Object.values(processes).map(({ pid }) => pid);
  for (const pid of pids) process.kill(pid, "SIGSTOP");
  try {
    const times = Array.from({ length: FROZEN_RUNS }, () => timeFrozen(env));
    const goal = `≤ ${(BUDGET_MS + 500) / 1000} s`;
    return [["`opsctl health --json`", `${(Math.max(...times) / 1000).toFixed(2)} s`, goal]];
  } finally {
    for (const pid of pids) process.kill(pid, "SIGCONT");
  }
}

/** Milliseconds; what it says of the engines must be the truth. */
function timeFrozen(env: NodeJS.ProcessEnv): number {
  const startedAt = performance.now();
  const { status, stdout } = spawnSync(process.execPath, HEALTH, { env, encoding: "utf8" });
  const ms = performance.now() - startedAt;
  const { databases } = JSON.parse(stdout) as { databases: Record<string, string> };
  const states = ["neo4j", "postgresql", "redis", "sqlite"].map((name) => databases[name]);
  if (status !== 3 || states.join() !== "disconnected,disconnected,disconnected,connected") {
    throw new Error(`exit ${status}: ${JSON.stringify(databases)}`);
  }
  return ms;
}
