/** opsctl's own ranking of a corpus on one store: import and recall go through the domain, as the commands do. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Call, createCall } from "../../../src/call.ts";
import { type Limits, sqliteTarget, type Target } from "../../../src/config/targets.ts";
import { ENGINES } from "../../../src/engines/registry.ts";
import { IN_MEMORY, sqliteConnection } from "../../../src/engines/sqlite/connect.ts";
import { sqliteJournal } from "../../../src/engines/sqlite/journal.ts";
import { sqliteMemory } from "../../../src/engines/sqlite/memory.ts";
import type { StoreHandle } from "../../../src/memory/breaker.ts";
import { importEvents } from "../../../src/memory/import.ts";
import { type Recalled, recall } from "../../../src/memory/recall.ts";
import { Stores } from "../../../src/memory/stores.ts";
import { setsOf } from "../../../src/migrate/sets.ts";
import { applySets } from "../../../src/migrate/shipped.ts";
import { type Corpus, importLine } from "./dataset.ts";
import { CUT, type Rankings } from "./measures.ts";

const LIMITS: Limits = { connectMs: 5000, queryMs: 120_000, poolSize: 4 };

/** One store of opsctl, opened as a command opens it. */
export interface OpenMemory {
  call: Call;
  stores: Stores;
  /** Makes opsctl's tables in a server. */
  applySchema(): Promise<void>;
}

/** Ranks on a fresh embedded file. */
export function rankOnSqlite(corpus: Corpus): Promise<Rankings> {
  return onFreshFile((memory) => fillAndAsk(memory, corpus));
}

/** Ranks on a server whose database is empty (or holds nothing but opsctl's schema): applies the schema, then imports and asks. */
export function rankOnServer(corpus: Corpus, target: Target): Promise<Rankings> {
  return inFolder((folder) =>
    withMemory(target, folder, async (memory) => {
      await memory.applySchema();
      return fillAndAsk(memory, corpus);
    }),
  );
}

/** Gives `work` an embedded file of its own. */
export function onFreshFile<T>(work: (memory: OpenMemory) => Promise<T>): Promise<T> {
  return inFolder((folder) => withMemory(sqliteTarget(join(folder, "data.db")), folder, work));
}

/** Opens a store and closes it again. The state file is made in `folder`. */
export async function withMemory<T>(
  target: Target,
  folder: string,
  work: (memory: OpenMemory) => Promise<T>,
): Promise<T> {
  const call = createCall({ actor: "bench", signal: new AbortController().signal });
  const engine = await ENGINES[target.engine]();
  const connection = await engine.connect(target, LIMITS);
  const state = sqliteConnection(join(folder, "state.db"));
  const queued = sqliteConnection(IN_MEMORY);
  try {
    const store = await engine.capabilities.memory!(connection);
    const handle: StoreHandle = { engine: target.engine, identity: "bench", open: async () => store };
    const stores = new Stores({
      servers: target.engine === "sqlite" ? [] : [handle],
      embedded: handle,
      journal: sqliteJournal(state),
      scratch: async () => sqliteMemory(queued),
    });
    const applySchema = async () => {
      const migrations = await engine.capabilities.migrations!(connection);
      const memory = setsOf(target.engine).filter(({ set }) => set === "memory");
      await applySets(call, migrations, memory, false);
    };
    return await work({ call, stores, applySchema });
  } finally {
    await queued.close();
    await state.close();
    await connection.close();
  }
}

async function fillAndAsk(memory: OpenMemory, { reports, queries }: Corpus): Promise<Rankings> {
  await fill(memory, reports.map(importLine));
  const rankings: string[][] = [];
  for (const { query } of queries) rankings.push(await ask(memory, query));
  return rankings;
}

/** Stores lines of `opsctl fixes import`. Throws unless every one of them is stored. */
export async function fill({ call, stores }: OpenMemory, lines: readonly string[]): Promise<void> {
  const { imported, queued } = await importEvents(call, stores, {
    lines: (async function* () {
      yield* lines;
    })(),
    parseTime: (value) => (typeof value === "number" ? value : Date.parse(String(value))),
    onReject: ({ line, reason }) => {
      throw new Error(`line ${line} was rejected: ${reason}`);
    },
  });
  if (imported !== lines.length || queued.length > 0)
    throw new Error(`only ${imported} of ${lines.length} fixes were stored (queued: ${queued.join()})`);
}

/** The first ten and how they were found. Throws when a store did not answer. */
export async function answer({ call, stores }: OpenMemory, text: string): Promise<Recalled> {
  const recalled = await recall(call, stores, { text, limit: CUT, filter: {} });
  if (recalled.degraded.length > 0) throw new Error(recalled.degraded[0]!.message);
  return recalled;
}

/** Ids of the first ten, best first. */
export async function ask(memory: OpenMemory, text: string): Promise<string[]> {
  const { results } = await answer(memory, text);
  return results.map(({ record }) => record.id);
}

/** Gives `work` a folder that is removed afterwards, also when the process exits meanwhile. */
export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "opsctl-bench-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    return await work(folder);
  } finally {
    process.off("exit", remove);
    remove();
  }
}
