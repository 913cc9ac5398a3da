/** A restore of PostgreSQL in a process of its own, which may be killed at any point: its journal is a file. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createCall } from "../../src/call.ts";
import { postgresRestore } from "../../src/engines/postgres/restore.ts";
import type { RestoreFile, Saved } from "../../src/restore/port.ts";

export interface RunnerOrder {
  id: string;
  url: string;
  name: string;
  files: RestoreFile[];
  expected: { counts: Record<string, number>; breakdown: Record<string, number> };
  /** Methods of the part, in order. */
  steps: readonly ("prepare" | "swap" | "verify" | "rollback" | "abandon" | "forget")[];
  /** Holds what the part saved. */
  journal: string;
  work: string;
}

export function readSaved(journal: string): Saved {
  return JSON.parse(readFileSync(journal, "utf8")) as Saved;
}

export async function runSteps(order: RunnerOrder, onDone: (step: string) => void = () => {}): Promise<void> {
  const { id, url, name, files, expected, steps, journal, work } = order;
  const call = createCall({ actor: "tester@host", signal: new AbortController().signal });
  const task = {
    id,
    name,
    files,
    expected,
    serverVersion: null,
    isOurs: true,
    work,
    saved: readSaved(journal),
    save: async (_: unknown, saved: Saved) => {
      writeFileSync(`${journal}.new`, JSON.stringify(saved));
      renameSync(`${journal}.new`, journal);
    },
    options: {
      jobs: 2,
      redis: { method: "auto", server: "" },
      neo4j: { admin: "", cypherShell: "" },
    },
  } as const;
  const target = { engine: "postgres", url, shown: "", identity: "" } as const;
  const part = await postgresRestore(task, {
    target,
    limits: { connectMs: 5_000, queryMs: 20_000, poolSize: 1 },
  });
  try {
    for (const step of steps) {
      await part[step](call);
      onDone(step);
    }
  } finally {
    await part.close();
  }
}

if (process.argv[1] === import.meta.filename) {
  const order = JSON.parse(readFileSync(process.argv[2]!, "utf8")) as RunnerOrder;
  await runSteps(order, (step) => process.stdout.write(`${step}\n`));
}
