/** Pasted stack traces: is the fix of the same error, remembered with other values, on top? */
import { bareFts5, wordsOf } from "../baselines.ts";
import type { Corpus } from "../dataset.ts";
import type { Rankings } from "../measures.ts";
import { ask, fill, onFreshFile } from "../opsctl-recall.ts";
import { markdownTable } from "../table.ts";
import { type TraceBench, type TraceOptions, traceBench } from "../traces.ts";

const SEED = 1;
const VARIANTS: readonly { name: string; options: TraceOptions }[] = [
  { name: "100 traces, up to 80 log lines around", options: {} },
  { name: "remembered by the message alone", options: { remembered: "message" } },
  { name: "500 log lines around", options: { around: [250, 250] } },
  { name: "distractors that differ in one word", options: { twins: true } },
];

/** One row a variant; opsctl on SQLite. */
export async function traceTable(): Promise<string> {
  const rows: string[][] = [];
  for (const { name, options } of VARIANTS) {
    const bench = traceBench(SEED, options);
    const own = await rankTraces(bench);
    const bare = bareFts5(corpusOf(bench));
    rows.push([
      name,
      ...[own, bare].flatMap((rankings) => [within(1, bench, rankings), within(3, bench, rankings)]),
    ]);
  }
  const header = ["right fix, of 5,020", "opsctl: first", "first three", "FTS5: first", "first three"];
  return markdownTable(header, rows);
}

function rankTraces({ fixes, queries }: TraceBench): Promise<Rankings> {
  return onFreshFile(async (memory) => {
    await fill(memory, fixes);
    const rankings: string[][] = [];
    for (const { query } of queries) rankings.push(await ask(memory, query));
    return rankings;
  });
}

function within(places: number, { queries }: TraceBench, rankings: Rankings): string {
  const found = queries.filter(({ expected }, index) => rankings[index]!.slice(0, places).includes(expected));
  return `${found.length} of ${queries.length}`;
}

/** For the bare statement each word once: thousands of repeated ones would take it minutes. */
function corpusOf({ fixes, queries }: TraceBench): Corpus {
  const reports = fixes.map((line) => {
    const { id, issue, solution, details } = JSON.parse(line);
    return {
      id,
      title: issue,
      text: `${solution}\n${details ?? ""}`,
      resolution: null,
      created: "",
      stores: [0],
    };
  });
  const asked = queries.map(({ query, expected }, index) => ({
    id: String(index),
    query: [...new Set(wordsOf(query))].join(" "),
    store: 0,
    relevant: [expected],
    text: "",
  }));
  return { store: 0, reports, queries: asked };
}
