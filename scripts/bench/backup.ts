/**
 * `opsctl backup` beside the tools that it stands for, as whole processes on the same servers, in turn and in random order: each engine against
 * its own tool, then all four against a script that runs these tools in parallel and packs what they spooled.
 *
 *   node scripts/build.ts && node scripts/bench/backup.ts [--scale 0.1] [--rounds 3] [--keep DIR] [--only whole,postgres,…]
 *
 * Scale 1 is pgbench 50 with 400,000 documents, 1,000,000 Redis keys, 500 MB of SQLite, 200,000 nodes and 400,000 relationships; it takes
 * minutes to make, so `--keep` keeps it. Sections: postgres, redis, sqlite, neo4j, delay, whole, scripts, freeze.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import type { Sidecar } from "../../src/backup/metadata.ts";
import type { EngineName } from "../../src/errors.ts";
import { logToStderr, mustRun } from "../services/shell.ts";
import { besideWriter } from "./backup-graph.ts";
import { measure } from "./backup-measure.ts";
import {
  type Contender,
  environment,
  opsctl,
  partContenders,
  scriptContenders,
  wholeContenders,
} from "./backup-programs.ts";
import { type Measured, reportTable, seconds } from "./backup-report.ts";
import { type Stack, startStack } from "./backup-stack.ts";
import { interruptionSignal } from "./interruption.ts";
import { createRandom } from "./lib/random.ts";
import { markdownTable } from "./lib/table.ts";

const PARTS: readonly EngineName[] = ["postgres", "redis", "sqlite", "neo4j"];
const SECTIONS = [...PARTS, "delay", "whole", "scripts", "freeze"] as const;
const ON_NEO4J: readonly string[] = ["neo4j", "whole", "scripts", "freeze"];
/** Of what is slow and decides nothing. */
const ONE_ROUND = 1;
const DEFAULT_DELAY_S = 5;

const { values } = parseArgs({
  options: {
    scale: { type: "string", default: "0.1" },
    rounds: { type: "string", default: "3" },
    keep: { type: "string" },
    only: { type: "string", default: SECTIONS.join() },
  },
});
const rounds = Number(values.rounds);
const scale = Number(values.scale);
const sections = values.only.split(",");
const random = createRandom(1);
const folder = values.keep ? resolve(values.keep) : mkdtempSync(join(tmpdir(), "opsctl-bench-"));

const signal = interruptionSignal();

try {
  for (const name of sections)
    if (!(SECTIONS as readonly string[]).includes(name)) throw new Error(`--only: no section "${name}"`);
  if (!(rounds >= 1 && scale > 0)) throw new Error("--rounds and --scale must be numbers above 0");
  console.log(`\`node scripts/bench/backup.ts ${process.argv.slice(2).join(" ")}\`\n`);
  console.log(`Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model}\n`);
  const stack = await startStack({ folder, scale, signal, log: logToStderr });
  try {
    await measureAll(stack);
  } finally {
    await stack.stop();
  }
} catch (error) {
  logToStderr(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode ??= 1;
} finally {
  for (const name of ["out", "home"]) rmSync(join(folder, name), { recursive: true, force: true });
  if (!values.keep) rmSync(folder, { recursive: true, force: true });
}

async function measureAll(stack: Stack): Promise<void> {
  const home = join(folder, "home");
  mkdirSync(home, { recursive: true });
  const env = environment(stack, home);
  // a fresh Java process is several times slower
  if (sections.some((name) => ON_NEO4J.includes(name)))
    await interleaved(partContenders("neo4j", env).slice(0, 1), ONE_ROUND);
  const print = (title: string, measured: Measured[]) => console.log(`${reportTable(title, measured)}\n`);
  for (const engine of PARTS)
    if (sections.includes(engine)) print(engine, await interleaved(partContenders(engine, env), rounds));
  if (sections.includes("delay")) print("redis, 5 s delay", await withDefaultDelay(stack, env));
  if (sections.includes("whole")) print("all four", await interleaved(wholeContenders(env), rounds));
  if (sections.includes("scripts")) {
    const { contenders, missing } = scriptContenders(env);
    print("all four, other scripts", await interleaved(contenders, ONE_ROUND));
    if (missing.length > 0) console.log(`Not to be had here: ${missing.join(", ")}.\n`);
  }
  if (sections.includes("freeze")) console.log(`${await besideWrites(stack, env)}\n`);
  console.log(
    "opsctl's archives hold the plain file, the globals and all digests, and were read again before it ended; the scripts' do not, unless they say so.\n" +
      "Memory is the peak of the program itself, with children the peak of the sum over all of its processes; servers count in wall time only.",
  );
}

/** Each in turn, in random order, into an empty folder. */
async function interleaved(contenders: readonly Contender[], count: number): Promise<Measured[]> {
  const measured: Measured[] = contenders.map(({ name, goal }) => ({ name, goal, runs: [] }));
  for (let round = 1; round <= count; round += 1) {
    for (const index of random.shuffled([...contenders.keys()])) {
      const contender = contenders[index]!;
      const run = await inFolder(async (out) => {
        const usage = await measure(contender.program(out), signal);
        return { ...usage, bytes: bytesIn(out) };
      });
      measured[index]!.runs.push(run);
      logToStderr(`round ${round} of ${count}: ${contender.name} ${seconds(run.ms)}`);
    }
  }
  return measured;
}

async function inFolder<T>(work: (out: string) => Promise<T>): Promise<T> {
  const out = join(folder, "out");
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  // what the last one left to write is not this one's
  await mustRun("sync", ["-f", out], { signal });
  try {
    return await work(out);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function bytesIn(out: string): number {
  return readdirSync(out, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

/** Redis as it is shipped: it waits before it forks, for whoever asks. */
async function withDefaultDelay({ redis }: Stack, env: NodeJS.ProcessEnv): Promise<Measured[]> {
  const client = new Redis(redis.url, { maxRetriesPerRequest: 1 });
  client.on("error", () => {});
  try {
    await client.config("SET", "repl-diskless-sync-delay", DEFAULT_DELAY_S);
    return await interleaved(partContenders("redis", env), ONE_ROUND);
  } finally {
    await client.config("SET", "repl-diskless-sync-delay", 0);
    client.disconnect();
  }
}

/** What an export proves while somebody writes to Neo4j all the time, and what it costs the writer. */
async function besideWrites({ neo4j }: Stack, env: NodeJS.ProcessEnv): Promise<string> {
  const rows: string[][] = [];
  for (const freeze of ["never", "auto", "always"]) {
    const contender = opsctl(env, ["neo4j"], ["--freeze", freeze]);
    await inFolder(async (out) => {
      const [{ ms }, written] = await besideWriter(neo4j, () => measure(contender.program(out), signal));
      const part = sidecarIn(out).metadata.parts[0]!;
      const frozen = part.snapshot["frozen_ms"];
      rows.push([
        contender.name,
        part.consistency ?? "",
        seconds(ms),
        typeof frozen === "number" ? seconds(frozen) : "",
        written.writes.toLocaleString("en"),
        String(written.refused),
        seconds(written.longestMs),
      ]);
    });
  }
  const header = [
    "beside a constant writer",
    "consistency",
    "wall time",
    "frozen",
    "writes",
    "refused",
    "longest write",
  ];
  return markdownTable(header, rows);
}

function sidecarIn(out: string): Sidecar {
  const name = readdirSync(out).find((file) => file.endsWith(".json"));
  if (!name) throw new Error("opsctl left no sidecar");
  return JSON.parse(readFileSync(join(out, name), "utf8")) as Sidecar;
}
