/**
 * Cost of the embedded store as whole processes, beside bare programs in the same run:
 *
 *   node scripts/build.ts && node scripts/bench/embedded.ts [--rows 100000] [--runs 5]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeFixes } from "./lib/fixes.ts";
import { medians, timeNode } from "./lib/processes.ts";
import { importBoth, OPSCTL } from "./lib/scale/imports.ts";
import { markdownTable } from "./lib/table.ts";

/** Starts are short: more of them than of imports. */
const START_RUNS = 20;
const SMALL = 20;

const { values } = parseArgs({ options: { rows: { type: "string" }, runs: { type: "string" } } });
const rows = Number(values.rows ?? 100_000);
const runs = Number(values.runs ?? 5);
const folder = mkdtempSync(join(tmpdir(), "opsctl-bench-"));
const env = {
  PATH: process.env["PATH"],
  HOME: folder,
  NODE_COMPILE_CACHE: join(folder, "compile-cache"),
  OPSCTL_STATE: join(folder, "state.db"),
};

try {
  const starts = timeStarts();
  const imports = await timeImports();
  console.log(`Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model}\n`);
  console.log(markdownTable(["whole process", "median", "ratio", "goal"], [...starts, ...imports]));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function timeStarts(): string[][] {
  const small = join(folder, "small.ndjson");
  const own = { ...env, OPSCTL_DB: join(folder, "small.db") };
  writeFixes(small, SMALL);
  timeNode([OPSCTL, "fixes", "import", small], own);
  const [bare, version, fixes] = medians(START_RUNS, 3, [
    () => timeNode(["-e", "0"], own),
    () => timeNode([OPSCTL, "--version"], own),
    () => timeNode([OPSCTL, "fixes", "--json"], own),
  ]) as [number, number, number];
  const row = (name: string, ms: number, goal: string) => [
    name,
    `${ms.toFixed(0)} ms`,
    `${(ms / bare).toFixed(2)} ×`,
    goal,
  ];
  return [
    row("`node -e 0`", bare, ""),
    row("`opsctl --version`", version, "≤ 1.3 ×"),
    row("`opsctl fixes --json`", fixes, "≤ 2.0 ×"),
  ];
}

async function timeImports(): Promise<string[][]> {
  const input = join(folder, "fixes.ndjson");
  writeFixes(input, rows);
  const [bareFile, ownFile] = [join(folder, "bare.db"), join(folder, "own.db")];
  const { bareMs: bare, own } = await importBoth({ input, bareFile, ownFile, env }, runs);
  const row = (name: string, ms: number, goal: string) => [
    name,
    `${Math.round(rows / (ms / 1000)).toLocaleString("en")} rows/s`,
    `${(bare / ms).toFixed(2)} ×`,
    goal,
  ];
  const count = rows.toLocaleString("en");
  return [
    row(`${count} fixes, bare better-sqlite3 loop`, bare, ""),
    row(`${count} fixes, \`opsctl fixes import\``, own.ms, "≥ 0.35 ×"),
    ["its peak of memory", `${Math.round(own.peakMib)} MiB`, "", "≤ 200 MB"],
  ];
}
