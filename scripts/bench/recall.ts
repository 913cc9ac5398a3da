/**
 * How well `recall` finds known duplicates, on each store, beside what a newcomer would write instead:
 *
 *   node scripts/bench/recall.ts [--wipe] [--ablate | --calibrate | --traces | --determinism]
 *
 * --ablate: what each signal and constant earns; --calibrate: how sure `--best` has to be; --traces: pasted stack
 * traces; --determinism: 50 runs of the built program.
 *
 * The servers come from the usual variables (DATABASE_URL, NEO4J_URI, …); without them their rows are missing. PostgreSQL gets
 * a database of its own. Neo4j Community has one only: it must be empty, or --wipe allows to delete what it holds.
 */
import { parseArgs } from "node:util";
import { loadConfig } from "../../src/config/load.ts";
import { type Target, targetsOf } from "../../src/config/targets.ts";
import { recallDev } from "./lib/dataset.ts";
import { ablationTable } from "./lib/recall/ablation.ts";
import { calibrationTable } from "./lib/recall/calibration.ts";
import { determinismTable } from "./lib/recall/determinism.ts";
import { qualityTable, type Servers, waysTable } from "./lib/recall/quality.ts";
import { traceTable } from "./lib/recall/trace-table.ts";
import { neo4jNodes } from "./lib/servers.ts";

// folders go with the process; a database of PostgreSQL stays, as after any kill
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(code));
}
try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      wipe: { type: "boolean" },
      ablate: { type: "boolean" },
      calibrate: { type: "boolean" },
      determinism: { type: "boolean" },
      traces: { type: "boolean" },
    },
  });
  if (values.traces) return console.log(await traceTable());
  const corpora = recallDev();
  const queries = corpora.flatMap((corpus) => corpus.queries);
  const reports = new Set(corpora.flatMap((corpus) => corpus.reports.map(({ id }) => id))).size;
  console.log(`${queries.length} queries, ${reports} bug reports (test/data/recall-dev).`);
  console.log("Tuning figures: the ranking was chosen on these queries.\n");
  if (values.ablate) return console.log(await ablationTable());
  if (values.calibrate) return console.log(await calibrationTable(corpora));
  const servers = await configuredServers(values.wipe === true);
  if (values.determinism) {
    console.log(await determinismTable(corpora, servers));
  } else {
    console.log(`${await qualityTable(corpora, servers)}\n`);
    console.log(await waysTable(corpora));
  }
  if (!servers.postgres) console.log("\nmissing: PostgreSQL: set DATABASE_URL");
  if (!servers.neo4j) console.log("\nmissing: Neo4j: set NEO4J_URI");
}

async function configuredServers(mayWipe: boolean): Promise<Servers> {
  const { neo4j, postgres } = targetsOf(await loadConfig({}, process.env, process.cwd()));
  if (neo4j && !mayWipe) await refuseToWipe(neo4j);
  return { neo4j, postgres };
}

async function refuseToWipe(target: Target): Promise<void> {
  const nodes = await neo4jNodes(target);
  if (nodes > 0) throw new Error(`${target.shown} holds ${nodes} nodes: --wipe deletes all of them`);
}
