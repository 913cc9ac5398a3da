/** Archives of several parts, and drills of them by engines that say what a test tells them to. */
import type { Archive } from "../../../src/backup/archives.ts";
import type { Container } from "../../../src/backup/metadata.ts";
import type { BackupPart, FileKind } from "../../../src/backup/port.ts";
import { runBackup } from "../../../src/backup/run.ts";
import type { Call } from "../../../src/call.ts";
import { acquireLock } from "../../../src/engines/sqlite/lock-file.ts";
import type { EngineName } from "../../../src/errors.ts";
import type { DrillTools } from "../../../src/restore/drill.ts";
import type { Drilled, RestoreTask } from "../../../src/restore/port.ts";
import { testCall } from "../../support/calls.ts";

const KINDS: Readonly<Record<EngineName, FileKind>> = {
  neo4j: "neo4j-ndjson",
  postgres: "postgres-custom",
  redis: "redis-rdb",
  sqlite: "sqlite-database",
};

/** What every part of these archives holds. */
export const HOLDS = { counts: { rows: 3, tables: 2 }, breakdown: { users: 3, empty: 0 } };

export function partOf(engine: EngineName): BackupPart {
  return {
    engine,
    name: "app",
    source: "memory",
    isSlowToPrepare: false,
    open: async () => ({ server_version: "1.2", tools: [], estimate_bytes: 0, scratch_bytes: 0, notes: [] }),
    prepare: async () => ({ at: Date.now(), identity: {} }),
    async copy(_call, out) {
      const file = await out.file(`${engine}/app`, KINDS[engine]);
      await file.write(Buffer.from(`data of ${engine}\n`));
      await file.end();
      return { consistency: "consistent", reason: null, ...HOLDS };
    },
    close: async () => {},
  };
}

/** A verified archive with a part of each engine. */
export async function makeArchive(
  folder: string,
  engines: readonly EngineName[],
  container: Container = "tar.zst",
): Promise<Archive> {
  const { archive } = await runBackup(testCall(), {
    parts: engines.map(partOf),
    folder,
    container,
    wants: () => true,
    stallMs: 60_000,
    ownSettings: {},
    opsctlVersion: "0.0.0",
    catalogue: {
      nextSequence: async (_call, least) => least + 1,
      add: async () => {},
      knows: async () => false,
    },
  });
  return archive;
}

/** All is there, in a server. */
export const WHOLE: Drilled = { ...HOLDS, problems: [], notes: [], loaded: true, where: "scratch" };

export type Answer = (task: RestoreTask, call: Call) => Promise<Drilled> | Drilled;

/** @param answers by engine; the others find all */
export function drillTools(
  parent: string,
  answers: Partial<Record<EngineName, Answer>>,
  stage: Partial<DrillTools["stage"]> = {},
): DrillTools {
  return {
    drill: async (call, engine, task) => answers[engine]?.(task, call) ?? WHOLE,
    parent,
    lock: (call, folder) => acquireLock(`${folder}/.opsctl.lock`, call.actor),
    stage: { knows: async () => true, trust: false, ...stage },
    options: {
      jobs: 1,
      redis: { method: "auto", server: "redis-server" },
      neo4j: { admin: "neo4j-admin", cypherShell: "cypher-shell" },
    },
  };
}
