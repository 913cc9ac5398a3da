/** Heap, page cache, and both against the machine. */

import type { Thresholds } from "../../../config/thresholds.ts";
import { type Found, Unknowable } from "../../../health/doctor/check.ts";
import {
  type Heap,
  heapOf,
  type Machine,
  machineOf,
  type Settings,
  storeSize,
  told,
} from "../server-facts.ts";
import { mebibytes, type Neo4jCheck, setting, settings } from "./common.ts";
import {
  firstGuess,
  heapRoom,
  isWorth,
  type PageCache,
  pageCacheOf,
  pageCacheRoom,
  sizeSetting,
  TOGETHER,
} from "./memory-room.ts";

/** What the collector could not free the last time, of the pool where objects grow old; null: it has not run there. */
const LIVE = `CALL dbms.queryJmx('java.lang:type=MemoryPool,*') YIELD name, attributes
WHERE name CONTAINS 'Old Gen' OR name CONTAINS 'Tenured'
RETURN attributes.CollectionUsage.value.properties.used AS used`;

export const heapUse: Neo4jCheck = {
  id: "neo4j-heap",
  area: "neo4j",
  title: "the heap is nearly full",
  looks: "JMX java.lang:type=Memory, and what was left after the last collection",
  async run(call, scope) {
    const { connection, thresholds } = scope;
    const heap = await heapOf(call, connection);
    const [live] = await told<{ used: number | null }>(call, connection, "heap", LIVE);
    const { memoryBytes } = await machineOf(call, connection);
    // whoever may not see the settings is told of the heap all the same
    const known = await settings(call, scope).catch((error: unknown) => {
      if (error instanceof Unknowable) return new Map<string, string>();
      throw error;
    });
    const { size } = pageCacheOf(known, memoryBytes, heap.max);
    return heapFindings(heap, live?.used ?? null, thresholds.heap, heapRoom(memoryBytes, size));
  },
};

const END = "end transactions that hold much (opsctl doctor neo4j-slow-transaction)";

/**
 * @param live bytes after the last collection
 * @param room bytes that the heap may have on this machine
 */
export function heapFindings({ used, max }: Heap, live: number | null, limit: number, room: number): Found[] {
  const percent = (bytes: number) => (bytes / max) * 100;
  const isLive = live !== null && percent(live) >= limit;
  if (!isLive && percent(used) < limit) return [];
  const seen = isLive ? live : used;
  return [
    {
      severity: isLive ? "warning" : "info",
      subject: "heap",
      evidence: `${mebibytes(seen)} of ${mebibytes(max)} (${percent(seen).toFixed(1)} %) are in use${isLive ? " after a garbage collection" : ""}; the limit is ${limit} %`,
      cause: isLive
        ? "the collector cannot free more: queries become slow, then fail for want of memory"
        : "it may be just before a garbage collection; when it stays, the heap is too small",
      remedies: [],
      advice: isWorth(room, max)
        ? `${END}, or ${setting(`server.memory.heap.max_size=${sizeSetting(Math.min(2 * max, room))}`)}`
        : `${END}; beside the page cache and the system the machine has no memory for a larger heap`,
    },
  ];
}

export const pageCache: Neo4jCheck = {
  id: "neo4j-page-cache",
  area: "neo4j",
  title: "the store does not fit into the page cache",
  looks: "server.memory.pagecache.size against the size of the database's files",
  async run(call, scope) {
    const known = await settings(call, scope);
    const { connection, target, root, thresholds } = scope;
    const { memoryBytes } = await machineOf(call, connection);
    const heap = await heapOf(call, connection);
    const store = await storeSize(call, connection, known, target.database ?? "neo4j", root);
    const cache = pageCacheOf(known, memoryBytes, heap.max);
    return pageCacheFindings(store, cache, thresholds.large, pageCacheRoom(memoryBytes, heap.max));
  },
};

/** So much larger than the store: it grows. */
const GROWTH = 1.2;

/**
 * A store larger than the memory is usual: only memory that is there and not used is worth a warning.
 * @param large bytes; below it a store is never worth a finding
 * @param room bytes that the page cache may have on this machine
 */
export function pageCacheFindings(
  store: number,
  { size, isSet }: PageCache,
  large: number,
  room: number,
): Found[] {
  if (store < large || store <= size) return [];
  const hasRoom = isWorth(room, size);
  return [
    {
      severity: hasRoom ? "warning" : "info",
      subject: "page cache",
      evidence: `the store has ${mebibytes(store)}, the page cache ${mebibytes(size)}${isSet ? "" : " (computed: server.memory.pagecache.size is not set)"}`,
      cause: hasRoom
        ? "what does not fit is read from the disk again and again: queries wait for it"
        : "beside the heap and the system the machine has no more memory for it: what does not fit is read from the disk",
      remedies: [],
      advice: hasRoom
        ? setting(`server.memory.pagecache.size=${sizeSetting(Math.min(GROWTH * store, room))}`)
        : "nothing, as long as queries are quick enough; else more memory, or a smaller heap where much of it stays unused",
    },
  ];
}

export const memorySettings: Neo4jCheck = {
  id: "neo4j-memory-settings",
  area: "neo4j",
  title: "heap and page cache do not fit the machine",
  looks: "server.memory.*, -Xmx, memory of the machine (JMX java.lang:type=OperatingSystem)",
  async run(call, scope) {
    const known = await settings(call, scope);
    const machine = await machineOf(call, scope.connection);
    const heap = await heapOf(call, scope.connection);
    return memoryFindings(known, machine, heap.max, scope.thresholds);
  },
};

/** @param heapMax bytes */
export function memoryFindings(
  known: Settings,
  machine: Machine,
  heapMax: number,
  { memory_warning: limit }: Pick<Thresholds, "memory_warning">,
): Found[] {
  const cache = pageCacheOf(known, machine.memoryBytes, heapMax);
  const isHeapSet =
    known.has("server.memory.heap.max_size") || machine.arguments.some((word) => word.startsWith("-Xmx"));
  const found: Found[] = [];
  const percent = ((heapMax + cache.size) / machine.memoryBytes) * 100;
  if (percent > limit) {
    found.push({
      severity: "warning",
      subject: "heap and page cache",
      evidence: `${mebibytes(heapMax)} of heap and ${mebibytes(cache.size)} of page cache are ${percent.toFixed(0)} % of the machine's ${mebibytes(machine.memoryBytes)}`,
      cause: "nothing is left for the system and other programs: it swaps, or the kernel ends Neo4j",
      remedies: [],
      advice: setting(`server.memory.heap.max_size and server.memory.pagecache.size lower: ${TOGETHER}`),
    });
  }
  const guess = firstGuess(machine.memoryBytes, isHeapSet ? heapMax : null, cache.isSet ? cache.size : null);
  const heap = sizeSetting(guess.heap);
  const unset = [
    ...(isHeapSet ? [] : [`server.memory.heap.initial_size=${heap}`, `server.memory.heap.max_size=${heap}`]),
    ...(cache.isSet ? [] : [`server.memory.pagecache.size=${sizeSetting(guess.cache)}`]),
  ];
  if (unset.length > 0) {
    found.push({
      severity: "info",
      subject: "memory settings",
      evidence: `not set: ${unset.map((line) => line.split("=")[0]).join(", ")}; the heap may grow to ${mebibytes(heapMax)} of ${mebibytes(machine.memoryBytes)}`,
      cause: "Neo4j guesses from the machine's memory, as if nothing else ran there",
      remedies: [],
      advice: `${setting(unset.join(", "))} (a first guess; less where other programs need the memory)`,
    });
  }
  return found;
}
