/** The parts of a run through their phases, together. */
import type { Call } from "../call.ts";
import { OpsError } from "../errors.ts";
import { Blocks, type Pack } from "./compress.ts";
import { PartRun, type PartRunOptions } from "./part-run.ts";
import type { BackupPart, PartFacts } from "./port.ts";
import type { SpoolError } from "./spool.ts";

/** Parts that are copied at once. */
const COPIES = 8;
/** Milliseconds between two lines of progress. */
const PROGRESS_MS = 250;

export interface PartsOptions extends Pick<PartRunOptions, "stallMs" | "wants" | "work" | "ownSettings"> {
  parts: readonly BackupPart[];
  pack: Pack;
  /** Aborted here when the disk fails. */
  disk: AbortController;
}

/** Nothing is asked of a server yet. */
export function startParts(call: Call, options: PartsOptions): PartRun[] {
  const { parts, pack, disk, ...shared } = options;
  let done = 0;
  let shownAt = 0;
  const onBytes = (count: number) => {
    done += count;
    if (performance.now() - shownAt < PROGRESS_MS) return;
    shownAt = performance.now();
    const total = runs.reduce((sum, { facts }) => sum + (facts?.estimate_bytes ?? 0), 0);
    const label = `copying ${names(runs.filter((run) => run.isRunning))}`;
    call.progress({ label, done, unit: "bytes", ...(total > done ? { total } : {}) });
  };
  const spool = {
    pack,
    blocks: new Blocks(),
    onFailure: (error: SpoolError) => disk.abort(error),
    onBytes,
  };
  const paths = new Set<string>();
  const runs = parts.map((part) => new PartRun(part, { ...shared, call, stop: disk.signal, spool, paths }));
  return runs;
}

function names(runs: readonly PartRun[]): string {
  return [...new Set(runs.map(({ part }) => part.engine))].join(", ");
}

/**
 * Through all phases; ends the snapshots in any case.
 * @param checkSpace throws when there is no room for what the parts expect to write
 * @throws OpsError when nothing was copied, or the run must end
 */
export async function copyParts(
  call: Call,
  runs: readonly PartRun[],
  checkSpace: (facts: readonly PartFacts[]) => Promise<void>,
): Promise<void> {
  try {
    call.progress({ label: `asking ${names(runs)}`, done: 0, unit: "bytes" });
    await Promise.all(runs.map((run) => run.open()));
    requireSome(runs);
    await checkSpace(runs.flatMap(({ facts }) => facts ?? []));
    const slow = runs.filter(({ part }) => part.isSlowToPrepare);
    if (slow.length > 0)
      call.progress({ label: `waiting for the snapshot of ${names(slow)}`, done: 0, unit: "bytes" });
    await Promise.all(slow.map((run) => run.prepare()));
    await Promise.all(runs.filter((run) => !slow.includes(run)).map((run) => run.prepare()));
    requireSome(runs);
    await sideBySide(runs);
  } finally {
    await Promise.all(runs.map((run) => run.close()));
  }
  requireSome(runs);
}

/** Not all at once where there are many: each of a server's databases takes a connection more while it is copied. */
async function sideBySide(runs: readonly PartRun[]): Promise<void> {
  const waiting = runs.values();
  const workers = Array.from({ length: COPIES }, async () => {
    for (const run of waiting) await run.copy();
  });
  await Promise.all(workers);
}

/** @throws OpsError when every part has failed */
function requireSome(runs: readonly PartRun[]): void {
  const failures = runs.flatMap(({ failure }) => failure ?? []);
  if (failures.length < runs.length) return;
  const [first] = failures;
  if (failures.length === 1) throw first;
  const isSame = failures.every(({ code }) => code === first!.code);
  throw new OpsError({
    code: isSame ? first!.code : "failed",
    message: `nothing was backed up: ${said(failures)}`,
    hint: first!.hint ?? "opsctl health",
    cause: first,
  });
}

/** What failed, each reason once: the parts of one server have the same. */
export function said(failures: readonly OpsError[]): string {
  return [...new Set(failures.map(({ engine, message }) => `${engine}: ${message}`))].join("; ");
}
