/** Rows of tables that have had their time: samples of statistics, tombstones of the memory. */
import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";
import type { SampleStore } from "../health/port.ts";
import type { MemoryStore } from "../memory/port.ts";
import type { PlacedKind } from "./cleanup.ts";
import type { CleanupItem } from "./port.ts";

const DAY_MS = 86_400_000;

/** @param open undefined: this host has no samples, and looking makes no file for them */
export function samplesKind(open: () => Promise<SampleStore | undefined>, keepMs: number): PlacedKind {
  return {
    kind: "samples",
    title: "samples of statistics",
    engine: null,
    async find(call) {
      const store = await open();
      if (!store) return [];
      const before = Date.now() - keepMs;
      const count = await store.countBefore(call, before);
      return rowsItem("samples", count, keepMs, async (call) => {
        await store.prune(call, before);
      });
    },
  };
}

/** @param open undefined: the store is not there yet */
export function tombstonesKind(
  engine: EngineName,
  open: (call: Call) => Promise<MemoryStore | undefined>,
  keepMs: number,
): PlacedKind {
  return {
    kind: "tombstones",
    title: "marks of forgotten records",
    engine,
    async find(call) {
      const store = await open(call);
      if (!store) return [];
      const before = Date.now() - keepMs;
      const count = await store.tombstones(call, before);
      return rowsItem(`forgotten records in ${engine}`, count, keepMs, async (call) => {
        await store.pruneTombstones(call, before);
      });
    },
  };
}

function rowsItem(what: string, count: number, keepMs: number, remove: CleanupItem["remove"]): CleanupItem[] {
  if (count === 0) return [];
  const why = `older than ${Math.round((keepMs / DAY_MS) * 10) / 10} days`;
  return [{ subject: what, why, count, size_bytes: null, remove }];
}
