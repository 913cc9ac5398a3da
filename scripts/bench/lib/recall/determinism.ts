/** Whether the same question always gets the same answer: whole processes, again and again, and from every store. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Corpus, importLine } from "../dataset.ts";
import { inFolder } from "../opsctl-recall.ts";
import { OPSCTL } from "../scale/imports.ts";
import { onEmptyNeo4j, onFreshPostgres } from "../servers.ts";
import { markdownTable } from "../table.ts";
import type { Servers } from "./quality.ts";

const FILE_RUNS = 50;
/** Processes that start a driver take longer, and the ranking is the same function. */
const SERVER_RUNS = 5;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Answers of all runs: of each run one line a query. */
type Runs = readonly (readonly string[])[];

/** One row a store: different answers over the runs, and lists that differ from SQLite's, scores and all other fields included. */
export async function determinismTable(
  corpora: readonly Corpus[],
  { postgres, neo4j }: Servers,
): Promise<string> {
  const file = await overStores(corpora, (corpus) => askOften(corpus, {}, FILE_RUNS));
  const rows = [row("SQLite", file, file)];
  if (postgres) {
    const runs = await overStores(corpora, (corpus) =>
      onFreshPostgres(postgres, ({ url }) =>
        askOften(corpus, { DATABASE_URL: url }, SERVER_RUNS, "postgres"),
      ),
    );
    rows.push(row("PostgreSQL", runs, file));
  }
  if (neo4j) {
    const { NEO4J_URI, NEO4J_USERNAME, NEO4J_PASSWORD } = process.env;
    const env = { NEO4J_URI, NEO4J_USERNAME, NEO4J_PASSWORD };
    const runs = await overStores(corpora, (corpus) =>
      onEmptyNeo4j(neo4j, () => askOften(corpus, env, SERVER_RUNS, "neo4j")),
    );
    rows.push(row("Neo4j", runs, file));
  }
  return markdownTable(["`opsctl recall --batch`", "runs", "different answers", "as SQLite answers"], rows);
}

function row(name: string, runs: Runs, reference: Runs): string[] {
  const different = new Set(runs.map((lines) => lines.join("\n"))).size;
  const [own, other] = [runs[0]!, reference[0]!];
  const same = own.filter((line, index) => line === other[index]).length;
  return [
    name,
    String(runs.length),
    different === 1 ? "none" : String(different - 1),
    `${same} of ${own.length}`,
  ];
}

/** Runs of both corpora side by side. */
async function overStores(
  corpora: readonly Corpus[],
  askStore: (corpus: Corpus) => Promise<Runs>,
): Promise<Runs> {
  const all: Runs[] = [];
  for (const corpus of corpora) all.push(await askStore(corpus));
  return all[0]!.map((_, run) => all.flatMap((runs) => runs[run]!));
}

function askOften(
  { reports, queries }: Corpus,
  servers: NodeJS.ProcessEnv,
  runs: number,
  init?: "postgres" | "neo4j",
): Promise<Runs> {
  return inFolder(async (folder) => {
    const env = {
      PATH: process.env["PATH"],
      HOME: folder,
      NODE_COMPILE_CACHE: join(folder, "compile-cache"),
      OPSCTL_DB: join(folder, "data.db"),
      OPSCTL_STATE: join(folder, "state.db"),
      ...servers,
    };
    const opsctl = (...args: string[]) =>
      execFileSync(process.execPath, [OPSCTL, ...args], {
        env,
        encoding: "utf8",
        maxBuffer: MAX_OUTPUT_BYTES,
        stdio: ["ignore", "pipe", "pipe"],
      });
    const [fixes, questions] = [join(folder, "fixes.ndjson"), join(folder, "queries.ndjson")];
    writeFileSync(fixes, reports.map((report) => `${importLine(report)}\n`).join(""));
    writeFileSync(questions, queries.map(({ id, query }) => `${JSON.stringify({ id, query })}\n`).join(""));
    if (init) opsctl("init", init, "--yes");
    opsctl("fixes", "import", fixes);
    return Array.from({ length: runs }, () => opsctl("recall", "--batch", questions).trimEnd().split("\n"));
  });
}
