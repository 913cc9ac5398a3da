/**
 * A process that searches, for recall-scale.ts: `searcher.ts opsctl|fts5|minisearch|postgres SOURCE FOLDER`. Says `ready`, then answers each
 * `{query}` with an `Answer`. Each search opens a connection of its own and closes it; minisearch has its index in memory.
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import Database from "better-sqlite3";
import { sqliteTarget, type Target } from "../../../../src/config/targets.ts";
import { askMinisearch, emptyMinisearch, matchAny } from "../baselines.ts";
import { CUT } from "../measures.ts";
import { ask, withMemory } from "../opsctl-recall.ts";

export type Peer = "opsctl" | "fts5" | "minisearch" | "postgres";

export interface Answer {
  ms: number;
  ids: string[];
}

type Search = (query: string) => Promise<string[]> | string[];

const [peer, source, folder] = process.argv.slice(2) as [Peer, string, string];
const search = await open();
process.on("message", async ({ query }: { query: string }) => {
  const startedAt = performance.now();
  const ids = await search(query);
  const answer: Answer = { ms: performance.now() - startedAt, ids };
  process.send!(answer);
});
process.send!("ready");

function open(): Promise<Search> | Search {
  switch (peer) {
    case "opsctl":
      return onTarget(sqliteTarget(source));
    case "postgres":
      return onTarget({ engine: "postgres", url: source, shown: "", identity: "" });
    case "fts5":
      return searchFts5;
    case "minisearch":
      return searchMinisearch();
  }
}

function onTarget(target: Target): Search {
  return (query) => withMemory(target, folder, (memory) => ask(memory, query));
}

function searchFts5(query: string): string[] {
  const database = new Database(source, { readonly: true });
  try {
    return database
      .prepare<[string, number], string>(
        `SELECT record.id FROM fixes JOIN record ON record.row_id = fixes.rowid
         WHERE fixes MATCH ? ORDER BY fixes.rank LIMIT ?`,
      )
      .pluck()
      .all(matchAny(query), CUT);
  } finally {
    database.close();
  }
}

async function searchMinisearch(): Promise<Search> {
  const index = emptyMinisearch();
  for await (const line of createInterface({ input: createReadStream(source) })) {
    const { id, issue, solution, details } = JSON.parse(line);
    index.add({ id, title: issue, text: `${solution}\n${details}` });
  }
  return (query) => askMinisearch(index, query);
}
