/** Restores of Neo4j as the domain runs them: parts with a journal in memory and files in a folder. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FileKind } from "../../src/backup/port.ts";
import type { Target } from "../../src/config/targets.ts";
import { neo4j as engine } from "../../src/engines/neo4j/engine.ts";
import type { RestoreOptions, RestorePart, RestoreTask, Saved } from "../../src/restore/port.ts";
import { type Exported, LIMITS } from "./graph-kit.ts";

export type Neo4jOptions = RestoreOptions["neo4j"];

/** A restore and what its journal holds; `part` makes the part anew, as another process would. */
export interface Scene {
  task: RestoreTask;
  folder: string;
  saved(): Saved;
  part(target: Target, limits?: Partial<typeof LIMITS>): Promise<RestorePart>;
  remove(): void;
}

export interface Material {
  kind: FileKind;
  content: string | Buffer;
  expected?: RestoreTask["expected"];
}

export function sceneOf(files: readonly Material[], options: Partial<Neo4jOptions> = {}): Scene {
  const folder = mkdtempSync(join(tmpdir(), "opsctl-graph-restore-"));
  const work = mkdtempSync(join(folder, "work-"));
  let saved: Saved = {};
  const stored = files.map(({ kind, content }, index) => {
    const local = join(folder, `file-${index}`);
    writeFileSync(local, content);
    return { path: `neo4j/file-${index}`, kind, size_bytes: statSync(local).size, local };
  });
  const task: RestoreTask = {
    id: "1a2b3c4d",
    name: "neo4j",
    files: stored,
    expected: files[0]?.expected ?? { counts: {}, breakdown: {} },
    serverVersion: null,
    isOurs: true,
    work,
    get saved() {
      return saved;
    },
    save: async (_call, changed) => {
      saved = changed;
    },
    options: {
      jobs: 2,
      redis: { method: "auto", server: "redis-server" },
      neo4j: { admin: "neo4j-admin", cypherShell: "cypher-shell", ...options },
    },
  };
  return {
    task,
    folder,
    saved: () => saved,
    part: async (target, limits = {}) =>
      engine.capabilities.restore!(task, { target, limits: { ...LIMITS, ...limits } }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** The file of an export and what its metadata says. */
export function materialOf({ files, copied }: Exported): Material {
  const [file] = [...files.values()];
  const { kind, content } = file!;
  return { kind, content, expected: { counts: copied.counts, breakdown: copied.breakdown } };
}
