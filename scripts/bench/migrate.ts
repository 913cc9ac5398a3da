/**
 * `opsctl migrate up` beside other tools, as whole processes that a user would start: the same files, each in a transaction of its own, on
 * fresh databases of one PostgreSQL, in turn and in random order; then a run with nothing pending. What each tool makes is compared first.
 *
 *   node scripts/build.ts && node scripts/bench/migrate.ts [--files 250] [--rounds 5] [--runs 15] [--shape heavy|light]
 *   node scripts/build.ts && node scripts/bench/migrate.ts --neo4j [--files 100] [--rounds 5]
 *
 * The server is the one of DATABASE_URL (its user must be allowed to create databases and to CHECKPOINT), else one that is started here
 * and forces every commit to disk. Neo4j is always a server that is started here.
 */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { logToStderr } from "../services/shell.ts";
import { interruptionSignal } from "./interruption.ts";
import { generateHistory, type Shape } from "./lib/migrate/history.ts";
import { type Applied, measurePending, measureUp, type Setting } from "./lib/migrate/measure.ts";
import { measureNeo4j } from "./lib/migrate/neo4j.ts";
import { findPeers, NAMES } from "./lib/migrate/peers.ts";
import { reportTable } from "./lib/migrate/report.ts";
import { benchPostgres } from "./lib/migrate/server.ts";
import { createRandom } from "./lib/random.ts";

const TITLES: Readonly<Record<Shape, string>> = { heavy: "heavy DDL", light: "light" };

const { values } = parseArgs({
  options: {
    files: { type: "string" },
    rounds: { type: "string", default: "5" },
    runs: { type: "string", default: "15" },
    shape: { type: "string" },
    neo4j: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const random = createRandom(1);
const folder = mkdtempSync(join(tmpdir(), "opsctl-bench-"));
// whoever runs the server for root must get through to its own folder in here
chmodSync(folder, 0o711);

const signal = interruptionSignal();

try {
  console.log(`\`node scripts/bench/migrate.ts ${process.argv.slice(2).join(" ")}\`\n`);
  console.log(`Node ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model}\n`);
  await (values.neo4j ? onNeo4j(Number(values.files ?? 100)) : onPostgres(Number(values.files ?? 250)));
} catch (error) {
  logToStderr(`error: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode ??= 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** What every tool gets: this Node first on PATH, caches and a home of its own. */
function environment(...programs: string[]): NodeJS.ProcessEnv {
  const path = [dirname(process.execPath), ...programs, process.env["PATH"]].join(delimiter);
  return { PATH: path, HOME: folder, TMPDIR: folder, LC_ALL: "C.UTF-8" };
}

async function onNeo4j(files: number): Promise<void> {
  const setting: Setting = { env: environment(), folder, random, signal, log: logToStderr };
  const measured = await measureNeo4j(setting, files, rounds);
  console.log(reportTable(`${files} files, Neo4j`, measured, NAMES.bareDriver));
}

async function onPostgres(files: number): Promise<void> {
  const shapes = (["heavy", "light"] as const).filter((shape) => (values.shape ?? shape) === shape);
  if (shapes.length === 0) throw new Error(`--shape: "${values.shape}" is neither heavy nor light`);
  const { peers, missing } = await findPeers(logToStderr);
  const { url: server, bin, stop } = await benchPostgres(process.env["DATABASE_URL"], folder, signal);
  try {
    for (const shape of shapes) {
      const setting = {
        env: environment(bin),
        folder: join(folder, shape),
        random,
        signal,
        log: logToStderr,
      };
      const history = generateHistory(shape, files);
      const { measured, applied, drop } = await measureUp(setting, server, peers, history, rounds);
      const count = history.reduce((sum, { statements }) => sum + statements.length, 0);
      const title = `${files} files, ${TITLES[shape]}: ${count.toLocaleString("en")} statements`;
      const goals = { [NAMES.opsctl]: "≤ 1.25 ×, before dbmate and node-pg-migrate" };
      console.log(`${reportTable(title, measured, NAMES.psql, goals, missing)}\n`);
      if (shape === shapes.at(-1)) await onNothingPending(setting, applied, missing);
      await drop();
    }
  } finally {
    await stop();
  }
}

async function onNothingPending(
  setting: Setting,
  applied: readonly Applied[],
  missing: readonly string[],
): Promise<void> {
  const measured = await measurePending(setting, applied, Number(values.runs));
  const goals = { [NAMES.opsctl]: "≤ 1.3 ×, before dbmate (npm)" };
  console.log(reportTable("nothing pending", measured, NAMES.bareStatus, goals, missing));
}
