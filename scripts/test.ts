/**
 * `npm test`: services, lint, types, build, tests; the last line is always `tests: N passed, N failed, N skipped`.
 *
 *   npm test                     everything
 *   npm test -- test/unit        everything, of the tests only those; other arguments go to vitest too
 *   node scripts/test.ts --faults    the campaigns of vitest.faults.config.ts only
 *
 * Exit code 1 when anything failed or was skipped.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { isOrphaned, type ServiceEnv, startServices, stopServices } from "./services/services.ts";
import { logToStderr, type RunResult, run } from "./services/shell.ts";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "node_modules", ".bin");
const STATE_PREFIX = "opsctl-test-";
const FAULTS_CONFIG = "vitest.faults.config.ts";

/** What a developer's shell may set and what no test may depend on; PG… is read by drivers and programs. */
const FOREIGN = /^(NEO4J_|POSTGRES_|REDIS_|OPSCTL_|OBS_AGENT_|DATABASE_URL$|RETENTION_DAYS$|PG[A-Z]+$)/;

/** What is worth reading of thousands of lines: printed before the last one. */
const remarks: string[] = [];
const interruption = new AbortController();
let interruptedBy: NodeJS.Signals | undefined;
let running: ChildProcess | undefined;

/** Our environment without configuration of opsctl, with the pinned Node and the tools of this clone first on PATH. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !FOREIGN.test(name));
  const path = [BIN, dirname(process.execPath), process.env.PATH ?? ""].join(delimiter);
  return { ...Object.fromEntries(kept), PATH: path };
}

function testEnvironment(services: ServiceEnv): NodeJS.ProcessEnv {
  const named = Object.entries(services).map(([name, value]) => [`OPSCTL_TEST_${name}`, value]);
  return { ...cleanEnvironment(), ...Object.fromEntries(named) };
}

function heading(text: string): void {
  process.stdout.write(`\n=== ${text} ===\n`);
}

/** Runs a step in the foreground and returns its exit code. */
function show(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, env, stdio: "inherit" });
    running = child;
    child.on("error", reject);
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

/** Runs a step in the background; its output is shown later, under its own heading. */
function quietly(command: string, args: string[], env = cleanEnvironment()): Promise<RunResult> {
  return run(join(BIN, command), args, { cwd: ROOT, env, signal: interruption.signal });
}

async function report(title: string, step: Promise<RunResult>): Promise<boolean> {
  const { code, stdout, stderr } = await step;
  heading(title);
  process.stdout.write(stdout);
  process.stderr.write(stderr);
  return code === 0;
}

/** Services of earlier runs which were killed before they could stop them. */
async function stopOrphans(): Promise<void> {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(STATE_PREFIX))) {
    const folder = join(tmpdir(), name);
    if (statSync(folder, { throwIfNoEntry: false })?.uid !== process.getuid?.()) continue;
    const stateFile = join(folder, "state.json");
    if (!isOrphaned(stateFile)) continue;
    logToStderr(`stopping the services of an earlier test run (${folder})`);
    await stopServices({ stateFile, log: logToStderr });
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Everything from lint to tests; the counts are those of the tests, or one failure for the step before them. */
async function runSteps(folder: string, faults: boolean, args: string[]): Promise<Counts> {
  // Its output goes through a pipe to us: biome cannot see whether we write to a terminal.
  const colors = process.stdout.isTTY ? "force" : "off";
  const lint = faults ? undefined : quietly("biome", ["ci", `--colors=${colors}`, "."]);
  const types = faults ? undefined : quietly("tsc", ["--noEmit"]);
  const starting = startServices({
    stateFile: join(folder, "state.json"),
    log: logToStderr,
    owned: true,
    fsync: false,
    signal: interruption.signal,
  });
  // Looked at below; until then its failure must not end the process.
  starting.catch(() => {});
  heading("services (starting while lint and types run)");

  const linted = lint ? await report("lint", lint) : true;
  const typed = types ? await report("types", types) : true;
  if (!linted || !typed) return giveUp(starting);
  heading("build");
  if ((await show("npm", ["run", "--silent", "build"], cleanEnvironment())) !== 0) return giveUp(starting);
  const services = await starting;
  heading(faults ? "campaigns" : "tests");
  return (faults ? runCampaigns : runTests)(folder, args, testEnvironment(services));
}

/** A step before the tests has failed: the start of the services, if it still goes on, is broken off. */
async function giveUp(starting: Promise<unknown>): Promise<Counts> {
  interruption.abort(new Error("the services are not needed any more"));
  await starting.catch(() => {});
  return { passed: 0, failed: 1, skipped: 0 };
}

/**
 * The projects of vitest.config.ts in a process each, side by side: in one process vitest runs projects of different `maxWorkers` one after
 * the other. The output of the second comes when it has ended.
 */
async function runTests(folder: string, args: string[], env: NodeJS.ProcessEnv): Promise<Counts> {
  const serial = quietly("vitest", vitestArguments(folder, "neo4j", ["--project", "neo4j", ...args]), env);
  const parallel = ["--project", "parallel", ...args];
  const shown = await show(join(BIN, "vitest"), vitestArguments(folder, "parallel", parallel), env);
  const counts = [countOf(folder, "parallel", shown)];
  const { code } = await serial;
  await report("tests on Neo4j, one file after another", serial);
  counts.push(countOf(folder, "neo4j", code));
  return sum(counts);
}

function vitestArguments(folder: string, name: string, args: string[]): string[] {
  const reporters = [
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${resultsFile(folder, name)}`,
  ];
  // a pattern that names files of one project leaves the other without any
  return ["run", ...reporters, "--passWithNoTests", ...args];
}

function resultsFile(folder: string, name: string): string {
  return join(folder, `results-${name}.json`);
}

async function runCampaigns(folder: string, args: string[], env: NodeJS.ProcessEnv): Promise<Counts> {
  const all = vitestArguments(folder, "faults", ["--config", FAULTS_CONFIG, ...args]);
  return countOf(folder, "faults", await show(join(BIN, "vitest"), all, env));
}

function countOf(folder: string, name: string, code: number | null): Counts {
  const results = resultsFile(folder, name);
  const counts = existsSync(results)
    ? count(readFileSync(results, "utf8"))
    : { passed: 0, failed: 1, skipped: 0 };
  // Errors outside of tests, or no tests at all, show in the exit code only.
  if (code !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

function sum(all: readonly Counts[]): Counts {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of all) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  return total;
}

interface VitestResults {
  testResults: {
    name: string;
    status: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] | null }[];
  }[];
}

/** A file that cannot even be loaded has no tests in the results: it counts as one that failed. */
function count(json: string): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const file of (JSON.parse(json) as VitestResults).testResults) {
    const failedBefore = counts.failed;
    for (const { status, fullName, failureMessages } of file.assertionResults) {
      const [message] = failureMessages ?? [];
      if (status === "passed") counts.passed++;
      else if (status === "failed") counts.failed++;
      else counts.skipped++;
      if (message !== undefined)
        remarks.push(
          `${status === "passed" ? "passed at a later try" : status}: ${file.name}: ${fullName}: ${message.split("\n")[0]}`,
        );
    }
    if (file.status === "failed" && counts.failed === failedBefore) {
      counts.failed++;
      remarks.push(`failed: ${file.name}`);
    }
  }
  return counts;
}

function interrupt(signal: NodeJS.Signals): void {
  if (interruptedBy) return;
  interruptedBy = signal;
  logToStderr(`${signal}: stopping the services`);
  interruption.abort(new Error(`interrupted by ${signal}`));
  running?.kill(signal);
}

async function main(): Promise<Counts> {
  const args = process.argv.slice(2);
  const faults = args.includes("--faults");
  const folder = mkdtempSync(join(tmpdir(), STATE_PREFIX));
  chmodSync(folder, 0o700);
  try {
    await stopOrphans();
    return await runSteps(
      folder,
      faults,
      args.filter((arg) => arg !== "--faults"),
    );
  } catch (error) {
    logToStderr(error instanceof Error ? error.message : String(error));
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    await stopServices({ stateFile: join(folder, "state.json"), log: logToStderr });
    rmSync(folder, { recursive: true, force: true });
  }
}

process.on("SIGINT", interrupt);
process.on("SIGTERM", interrupt);
const { passed, failed, skipped } = await main();
process.exitCode = failed + skipped > 0 ? 1 : 0;
if (interruptedBy) process.exitCode = interruptedBy === "SIGINT" ? 130 : 143;
for (const remark of remarks) process.stdout.write(`${remark}\n`);
process.stdout.write(`tests: ${passed} passed, ${failed} failed, ${skipped} skipped\n`);
