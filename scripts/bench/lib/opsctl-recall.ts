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
import { recall } from "../../../src/memory/recall.ts";
import { Stores } from "../../../src/memory/stores.ts";
import { setsOf } from "../../../src/migrate/sets.ts";
import { applySets } from "../../../src/migrate/shipped.ts";
import { type Corpus, importLine } from "./dataset.ts";
import { CUT, type Rankings } from "./measures.ts";

const LIMITS: Limits = { connectMs: 5000, queryMs: 120_000, poolSize: 4 };

/** Ranks on a fresh embedded file. */
export async function rankOnSqlite(corpus: Corpus): Promise<Rankings> {
  return inFolder((folder) => rank(corpus, sqliteTarget(join(folder, "data.db")), folder));
}

/** Ranks on a server whose database is empty (or holds nothing but opsctl's schema): applies the schema, then imports and asks. */
export async function rankOnServer(corpus: Corpus, target: Target): Promise<Rankings> {
  return inFolder((folder) => rank(corpus, target, folder));
}

async function rank(corpus: Corpus, target: Target, folder: string): Promise<Rankings> {
  const call = createCall({ actor: "bench", signal: new AbortController().signal });
  const engine = await ENGINES[target.engine]();
  const connection = await engine.connect(target, LIMITS);
  const state = sqliteConnection(join(folder, "state.db"));
  const queued = sqliteConnection(IN_MEMORY);
  try {
    if (target.engine !== "sqlite") {
      const migrations = await engine.capabilities.migrations!(connection);
      await applySets(
        call,
        migrations,
        setsOf(target.engine).filter(({ set }) => set === "memory"),
        false,
      );
    }
    const store = await engine.capabilities.memory!(connection);
    const handle: StoreHandle = { engine: target.engine, identity: "bench", open: async () => store };
    const stores = new Stores({
      servers: target.engine === "sqlite" ? [] : [handle],
      embedded: handle,
      journal: sqliteJournal(state),
      scratch: async () => sqliteMemory(queued),
    });
    await fill(call, stores, corpus);
    return await ask(call, stores, corpus);
  } finally {
    await queued.close();
    await state.close();
    await connection.close();
  }
}

async function fill(call: Call, stores: Stores, { reports }: Corpus): Promise<void> {
  const { imported, queued } = await importEvents(call, stores, {
    lines: (async function* () {
      for (const report of reports) yield importLine(report);
    })(),
    parseTime: (value) => Date.parse(String(value)),
    onReject: ({ line, reason }) => {
      throw new Error(`line ${line} was rejected: ${reason}`);
    },
  });
  if (imported !== reports.length || queued.length > 0)
    throw new Error(`only ${imported} of ${reports.length} reports were stored (queued: ${queued.join()})`);
}

async function ask(call: Call, stores: Stores, { queries }: Corpus): Promise<Rankings> {
  const rankings: string[][] = [];
  for (const { query } of queries) {
    const { results, degraded } = await recall(call, stores, { text: query, limit: CUT, filter: {} });
    if (degraded.length > 0) throw new Error(degraded[0]!.message);
    rankings.push(results.map(({ record }) => record.id));
  }
  return rankings;
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "opsctl-bench-"));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
