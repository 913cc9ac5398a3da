/**
 * How well `recall` finds known duplicates, on each store, beside what a newcomer would write instead:
 *
 *   node scripts/bench/recall.ts [--wipe]
 *
 * The servers come from the usual variables (DATABASE_URL, NEO4J_URI, …); without them their rows are missing. PostgreSQL gets a
 * database of its own. Neo4j Community has one only: it must be empty, or --wipe allows to delete what it holds.
 */
import { parseArgs } from "node:util";
import { loadConfig } from "../../src/config/load.ts";
import { type Target, targetsOf } from "../../src/config/targets.ts";
import { bareFts5, minisearch } from "./lib/baselines.ts";
import { type Corpus, recallDev } from "./lib/dataset.ts";
import { quality, type Rankings, sameTopTen } from "./lib/measures.ts";
import { rankOnServer, rankOnSqlite } from "./lib/opsctl-recall.ts";
import { neo4jNodes, onEmptyNeo4j, onFreshPostgres } from "./lib/servers.ts";
import { markdownTable } from "./lib/table.ts";

const corpora = recallDev();
const queries = corpora.flatMap((corpus) => corpus.queries);

try {
  await main();
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { wipe: { type: "boolean" } } });
  const { neo4j, postgres } = targetsOf(await loadConfig({}, process.env, process.cwd()));
  if (neo4j && !values.wipe) await refuseToWipe(neo4j);
  const sqlite = await overStores(rankOnSqlite);
  const rows = [row("opsctl, SQLite", sqlite, sqlite)];
  if (postgres) {
    const fresh = (corpus: Corpus) => onFreshPostgres(postgres, (target) => rankOnServer(corpus, target));
    rows.push(row("opsctl, PostgreSQL", await overStores(fresh), sqlite));
  }
  if (neo4j) {
    const empty = (corpus: Corpus) => onEmptyNeo4j(neo4j, () => rankOnServer(corpus, neo4j));
    rows.push(row("opsctl, Neo4j", await overStores(empty), sqlite));
  }
  rows.push(row("one FTS5 statement (Porter, OR, title × 3)", corpora.flatMap(bareFts5)));
  rows.push(row("minisearch, stopwords dropped", corpora.flatMap(minisearch)));
  const reports = new Set(corpora.flatMap((corpus) => corpus.reports.map(({ id }) => id))).size;
  console.log(`${queries.length} queries, ${reports} bug reports (test/data/recall-dev).`);
  console.log("Tuning figures: the ranking was chosen on these queries.\n");
  console.log(markdownTable(["", "Recall@10", "nDCG@10", "MRR", "same top ten as SQLite"], rows));
  for (const [target, what] of [
    [postgres, "PostgreSQL: set DATABASE_URL"],
    [neo4j, "Neo4j: set NEO4J_URI"],
  ] as const) {
    if (!target) console.log(`\nmissing: ${what}`);
  }
}

/** All queries, each asked in its store. */
async function overStores(rankStore: (corpus: Corpus) => Promise<Rankings>): Promise<Rankings> {
  const rankings: (readonly string[])[] = [];
  for (const corpus of corpora) rankings.push(...(await rankStore(corpus)));
  return rankings;
}

function row(name: string, rankings: Rankings, reference?: Rankings): string[] {
  const { recall, ndcg, mrr } = quality(queries, rankings);
  const same = reference ? `${sameTopTen(reference, rankings)} of ${queries.length}` : "";
  return [name, ...[recall, ndcg, mrr].map((value) => value.toFixed(3)), same];
}

async function refuseToWipe(target: Target): Promise<void> {
  const nodes = await neo4jNodes(target);
  if (nodes > 0) throw new Error(`${target.shown} holds ${nodes} nodes: --wipe deletes all of them`);
}
