import { type Call, throwIfAborted } from "../call.ts";
import { type EngineName, type OpsError, toOpsError } from "../errors.ts";
import type { CleanupItem, CleanupKind } from "./port.ts";

/** The names of the kinds, in the order in which they run. */
export const CLEANUP_KINDS = [
  "locks",
  "spools",
  "archives",
  "samples",
  "operations",
  "scratch_databases",
  "tombstones",
] as const;
export type CleanupKindName = (typeof CLEANUP_KINDS)[number];

/** A kind where it is looked for: one of several servers, or (null) this host. */
export interface PlacedKind extends CleanupKind {
  kind: CleanupKindName;
  engine: EngineName | null;
}

export interface CleanupOutcome {
  kind: CleanupKindName;
  title: string;
  engine: EngineName | null;
  items: readonly CleanupItem[];
  /** Items that went. */
  removed: CleanupItem[];
  /** Why it could not look, or the first thing that could not be taken away. */
  error: OpsError | null;
  /** By item. */
  failures: Map<CleanupItem, OpsError>;
}

/**
 * Looks for things of each kind and takes them away, one kind after another. What fails leaves the rest alone.
 * @param isDry looks only
 * @throws OpsError only when the call is interrupted: what went until then stays gone
 */
export async function runCleanup(
  call: Call,
  kinds: readonly PlacedKind[],
  isDry: boolean,
): Promise<CleanupOutcome[]> {
  const outcomes: CleanupOutcome[] = [];
  for (const kind of kinds) outcomes.push(await runKind(call, kind, isDry));
  return outcomes;
}

async function runKind(call: Call, found: PlacedKind, isDry: boolean): Promise<CleanupOutcome> {
  const { kind, title, engine } = found;
  throwIfAborted(call);
  const failures = new Map<CleanupItem, OpsError>();
  const removed: CleanupItem[] = [];
  let items: readonly CleanupItem[] = [];
  let error: OpsError | null = null;
  try {
    items = await found.find(call);
  } catch (thrown) {
    throwIfAborted(call);
    error = toOpsError(thrown);
  }
  for (const [done, item] of (isDry ? [] : items).entries()) {
    throwIfAborted(call);
    call.progress({ label: title, done, total: items.length, unit: "files" });
    try {
      await item.remove(call);
      removed.push(item);
    } catch (thrown) {
      throwIfAborted(call);
      const failure = toOpsError(thrown);
      failures.set(item, failure);
      error ??= failure;
    }
  }
  return { kind, title, engine, items, removed, error, failures };
}

/** A kind that was not looked for. */
export function notLooked({ kind, title, engine }: PlacedKind, error: OpsError): CleanupOutcome {
  return { kind, title, engine, items: [], removed: [], error, failures: new Map() };
}

export function countOf(items: readonly CleanupItem[]): number {
  return items.reduce((sum, { count }) => sum + count, 0);
}

export function bytesOf(items: readonly CleanupItem[]): number {
  return items.reduce((sum, { size_bytes: size }) => sum + (size ?? 0), 0);
}
