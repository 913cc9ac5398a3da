import { stat } from "node:fs/promises";
import type { Call } from "../call.ts";
import { type EngineProbe, type EngineReport, probeAll } from "./probes.ts";

/** A SQLite file of this host. */
export interface FileSize {
  /** What it is for: `data`, `state`. */
  name: string;
  path: string;
  /** The file and its `-wal` and `-shm`; null: there is no such file yet, or it cannot be read. */
  size_bytes: number | null;
}

export interface EngineStats {
  engines: EngineReport[];
  files: FileSize[];
}

export interface StatsOptions {
  /** The configured engines; all others are reported as not configured. */
  probes: readonly EngineProbe[];
  files: readonly { name: string; path: string }[];
  /** Time for each probe, ms. */
  budgetMs: number;
}

/**
 * Connection, version and latency of each engine, and the sizes of files.
 * @throws OpsError only when the call is interrupted
 */
export async function collectStats(call: Call, options: StatsOptions): Promise<EngineStats> {
  const { probes, files, budgetMs } = options;
  const engines = await probeAll(call, probes, budgetMs);
  // after the probes: opening a SQLite file may create it
  return { engines, files: await sizesOf(files) };
}

/** The sizes of SQLite files as they are now. */
export function sizesOf(files: StatsOptions["files"]): Promise<FileSize[]> {
  return Promise.all(files.map(async (file) => ({ ...file, size_bytes: await sizeOf(file.path) })));
}

async function sizeOf(path: string): Promise<number | null> {
  const main = await bytesOf(path);
  if (main === null) return null;
  const [wal, shm] = await Promise.all([bytesOf(`${path}-wal`), bytesOf(`${path}-shm`)]);
  return main + (wal ?? 0) + (shm ?? 0);
}

async function bytesOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch {
    // a missing file is a size that is not known; whoever opens it says why
    return null;
  }
}
