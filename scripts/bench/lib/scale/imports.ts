/** The same fixes imported by the real program and by a bare FTS5 loop, as whole processes. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { median, peakOfNode, timeNode } from "../processes.ts";

export const OPSCTL = join(import.meta.dirname, "../../../../bin/opsctl.js");
const BARE = join(import.meta.dirname, "../bare-import.ts");

export interface Imported {
  ms: number;
  peakMib: number;
}

export interface Place {
  /** NDJSON of the fixes. */
  input: string;
  /** Files that are left: one of the bare loop, one of opsctl. */
  bareFile: string;
  ownFile: string;
  env: NodeJS.ProcessEnv;
}

/** Imports `runs` times each in turn, always into a new file. @returns medians of time, the greatest peak */
export async function importBoth(
  { input, bareFile, ownFile, env }: Place,
  runs: number,
): Promise<{ bareMs: number; own: Imported }> {
  const [bareMs, ownMs, peaks]: [number[], number[], number[]] = [[], [], []];
  for (let run = 0; run < runs; run += 1) {
    removeDatabase(bareFile);
    bareMs.push(timeNode([BARE, input, bareFile], env));
    removeDatabase(ownFile);
    const { ms, peakMib } = await importFixes(input, { ...env, OPSCTL_DB: ownFile });
    ownMs.push(ms);
    peaks.push(peakMib);
  }
  return { bareMs: median(bareMs), own: { ms: median(ownMs), peakMib: Math.max(...peaks) } };
}

/** Imports into a fresh PostgreSQL database. */
export function importPostgres(input: string, url: string, env: NodeJS.ProcessEnv): Promise<Imported> {
  const own = { ...env, DATABASE_URL: url };
  timeNode([OPSCTL, "init", "postgres", "--yes"], own);
  return importFixes(input, own);
}

function importFixes(input: string, env: NodeJS.ProcessEnv): Promise<Imported> {
  return peakOfNode([OPSCTL, "fixes", "import", input, "--json"], env);
}

function removeDatabase(file: string): void {
  for (const end of ["", "-wal", "-shm"]) rmSync(file + end, { force: true });
}
