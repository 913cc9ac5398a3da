/**
 * `opsctl restore` beside the tools that it stands for, as whole processes on the same servers, in turn and in random order. Databases are
 * emptied before each; after opsctl everything that they hold is compared with what they held at first: every row, key, node and relationship,
 * schema and settings (test/support/deep-digest.ts).
 *
 *   node scripts/build.ts && node scripts/bench/restore.ts [--scale 0.1] [--rounds 3] [--keep DIR] [--only whole,postgres,…]
 *
 * Data and `--keep` are those of bench:backup. Sections: whole (all four, once), postgres, stores (PostgreSQL, Redis and SQLite together), neo4j,
 * drill.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Redis } from "ioredis";
import type { EngineName } from "../../src/errors.ts";
import { startRedis } from "../services/redis.ts";
import { logToStderr, mustRun } from "../services/shell.ts";
import { measure, type Usage } from "./backup-measure.ts";
import { environment } from "./backup-programs.ts";
import { type Measured, reportTable, seconds } from "./backup-report.ts";
import { type Stack, startStack } from "./backup-stack.ts";
import { interruptionSignal } from "./interruption.ts";
import type { Program } from "./lib/processes.ts";
import { createRandom } from "./lib/random.ts";
import { markdownTable } from "./lib/table.ts";
import {
  type Contender,
  drill,
  neo4jContenders,
  opsctl,
  postgresContenders,
  restore,
  storesContenders,
} from "./restore-programs.ts";
import { compare, type Digests, digestsOf, lendKept, type MadeSet, makeSet, wipe } from "./restore-scene.ts";

const ALL: readonly EngineName[] = ["postgres", "redis", "sqlite", "neo4j"];
const SECTIONS = ["whole", "postgres", "stores", "neo4j", "drill"];
/** A program that takes longer hangs, ms. */
const HANGS_MS = 30 * 60_000;
/** Of what has nothing to be compared with. */
const ONE_ROUND = 1;

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
const scratch = join(folder, "scratch");
const signal = interruptionSignal();

try {
  for (const name of sections) if (!SECTIONS.includes(name)) throw new Error(`--only: no section "${name}"`);
  if (!(rounds >= 1 && scale > 0)) throw new Error("--rounds and --scale must be numbers above 0");
  console.log(`\`node scripts/bench/restore.ts ${process.argv.slice(2).join(" ")}\`\n`);
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
  for (const name of ["scratch", "sets", "home"])
    rmSync(join(folder, name), { recursive: true, force: true });
  if (!values.keep) rmSync(folder, { recursive: true, force: true });
}

async function measureAll(stack: Stack): Promise<void> {
  const home = join(folder, "home");
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  // a busy machine is measured, not refused
  const env = { ...environment(stack, home), OPSCTL_CONNECT_TIMEOUT: "30s", OPSCTL_QUERY_TIMEOUT: "60s" };
  const before = await digestsOf(stack, ALL);
  const setOf = async (...engines: EngineName[]) => makeSet(folder, engines, env, signal);
  // all of them first: what a round leaves behind is no source
  const sets = {
    all: await setOf(...ALL),
    postgres: await setOf("postgres"),
    stores: await setOf("postgres", "redis", "sqlite"),
    neo4j: await setOf("neo4j"),
  };
  const scene = { stack, env, before };
  const giveBack = lendKept(folder);
  const raw = await rawRedis(stack);
  try {
    const ran: Record<string, () => Promise<void>> = {
      whole: () => whole(scene, sets.all),
      postgres: () => section(scene, "PostgreSQL", sets.postgres, postgresContenders(sets.postgres, env)),
      stores: () =>
        section(
          { ...scene, prepare: raw.start },
          "PostgreSQL, Redis, SQLite",
          sets.stores,
          storesContenders(sets.stores, { ...env, ...raw.env }, scratch),
        ),
      neo4j: () => section(scene, "Neo4j", sets.neo4j, neo4jContenders(sets.neo4j, env)),
      drill: () => section(scene, "drill of all four", sets.all, [drill(sets.all, env)], ONE_ROUND),
    };
    for (const name of SECTIONS) if (sections.includes(name)) await ran[name]!();
  } finally {
    await raw.stop();
  }
  // whatever came last, the data is there for the next run
  await wipe(stack, ALL);
  await limited(restore(sets.all, env, [sets.all.name]));
  await limited(restore(sets.all, env, ["--forget"]));
  compare(await digestsOf(stack, ALL), before);
  await saveRedis(stack);
  giveBack();
  console.log(
    "After each first run of opsctl everything in its engines was compared: it was what they held before they were emptied. opsctl's rows hold the check of every\n" +
      "byte of the archive, counts and swap. Memory is the peak of the program itself, with children the peak of the sum over all of its processes.",
  );
}

interface Scene {
  stack: Stack;
  env: NodeJS.ProcessEnv;
  before: Digests;
  /** Comes before each run. */
  prepare?: () => Promise<void>;
}

/** All four at once: the proof, and what each engine took. */
async function whole(scene: Scene, set: MadeSet): Promise<void> {
  const contender = opsctl(set, ALL, scene.env, "256 MB");
  const runs = [await run(scene, contender, set)];
  const report = JSON.parse(runs[0]!.stdout) as {
    parts: { engine: string; name: string; how: string; outage_ms: number | null }[];
  };
  const rows = report.parts.map(({ engine, name, how, outage_ms: outage }) => [
    `${engine} ${name}`,
    how,
    outage === null ? "" : `${Math.round(outage)} ms`,
  ]);
  const bytes = statSync(set.path).size;
  print("all four", [
    { name: contender.name, goal: "256 MB", runs: runs.map((usage) => ({ ...usage, bytes })) },
  ]);
  console.log(`${markdownTable(["part", "how", "outage"], rows)}\n`);
}

/** Each in turn, in random order; after the first round of opsctl the digests are compared. */
async function section(
  scene: Scene,
  title: string,
  set: MadeSet,
  contenders: readonly Contender[],
  count = rounds,
): Promise<void> {
  const bytes = statSync(set.path).size;
  const measured: Measured[] = contenders.map(({ name, goal }) => ({ name, goal, runs: [] }));
  for (let round = 1; round <= count; round += 1) {
    for (const index of random.shuffled([...contenders.keys()])) {
      const contender = contenders[index]!;
      const isCompared = contender.isCompared && round === 1;
      const usage = await run(scene, { ...contender, isCompared }, set);
      measured[index]!.runs.push({ ...usage, bytes });
      logToStderr(`round ${round} of ${count}: ${contender.name} ${seconds(usage.ms)}`);
    }
  }
  print(title, measured);
}

async function run(
  { stack, env, before, prepare }: Scene,
  contender: Contender,
  set: MadeSet,
): Promise<Usage> {
  signal.throwIfAborted();
  const { engines, program, isCompared } = contender;
  await wipe(stack, engines);
  await prepare?.();
  // what the last one left to write is not this one's
  await mustRun("sync", ["-f", folder], { signal });
  const usage = await limited(program);
  if (isCompared) compare(await digestsOf(stack, engines), before);
  await limited(restore(set, env, ["--forget"]));
  return usage;
}

function limited(program: Program): Promise<Usage> {
  return measure(program, AbortSignal.any([signal, AbortSignal.timeout(HANGS_MS)]));
}

function print(title: string, measured: Measured[]): void {
  console.log(`${reportTable(title, measured, "archive")}\n`);
}

/** The redis-server that the script of raw tools stops and starts: a second one, whose process is the script's. */
async function rawRedis({ redis }: Stack) {
  const dir = join(folder, "scratch-redis");
  const { password } = redis;
  let server = await startRedis({ dir, password });
  const { port } = server;
  const url = `redis://:${password}@127.0.0.1:${port}`;
  const end = async () => {
    const client = new Redis(url, { maxRetriesPerRequest: 1, retryStrategy: () => null });
    client.on("error", () => {});
    // the one that a script started, or none
    await client.shutdown("NOSAVE").catch(() => {});
    client.disconnect();
    await server.stop();
  };
  return {
    env: { RAW_REDIS_PORT: String(port), RAW_REDIS_DIR: dir },
    async start() {
      await end();
      rmSync(join(dir, "data"), { recursive: true, force: true });
      server = await startRedis({ dir, password, port });
    },
    async stop() {
      await end();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Its file is that of the data again, for the next start. */
async function saveRedis({ redis }: Stack): Promise<void> {
  const client = new Redis(redis.url, { maxRetriesPerRequest: 1 });
  try {
    await client.save();
  } finally {
    client.disconnect();
  }
}
