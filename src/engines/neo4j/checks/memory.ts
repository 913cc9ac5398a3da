/** Heap, page cache, and both against the machine. */

import type { Thresholds } from "../../../config/thresholds.ts";
import { type Found, Unknowable } from "../../../health/doctor/check.ts";
import {
  bytesOf,
  type Heap,
  heapOf,
  type Machine,
  machineOf,
  type Settings,
  storeSize,
  told,
} from "../server-facts.ts";
import { mebibytes, type Neo4jCheck, setting, settings } from "./common.ts";

/** What the collector could not free the last time, of the pool where objects grow old; null: it has not run there. */
const LIVE = `CALL dbms.queryJmx('java.lang:type=MemoryPool,*') YIELD name, attributes
WHERE name CONTAINS 'Old Gen' OR name CONTAINS 'Tenured'
RETURN attributes.CollectionUsage.value.properties.used AS used`;

export const heapUse: Neo4jCheck = {
  id: "neo4j-heap",
  area: "neo4j",
  title: "the heap is nearly full",
  looks: "JMX java.lang:type=Memory, and what was left after the last collection",
  async run(call, { connection, thresholds }) {
    const heap = await heapOf(call, connection);
    const [live] = await told<{ used: number | null }>(call, connection, "heap", LIVE);
    return heapFindings(heap, live?.used ?? null, thresholds.heap);
  },
};

/** @param live bytes after the last collection */
export function heapFindings({ used, max }: Heap, live: number | null, limit: number): Found[] {
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
      advice: setting(
        `server.memory.heap.max_size=${mebibytes(max * 2).replace(" MiB", "m")}, or end transactions that hold much (opsctl doctor neo4j-slow-transaction)`,
      ),
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
    const cache = bytesOf(known.get("server.memory.pagecache.size"));
    if (cache === null) throw new Unknowable("page cache: server.memory.pagecache.size is not set");
    const { connection, target, root, thresholds } = scope;
    const store = await storeSize(call, connection, known, target.database ?? "neo4j", root);
    return pageCacheFindings(store, cache, thresholds.large);
  },
};

/** Bytes. Below `large` a store is never worth a finding. */
export function pageCacheFindings(store: number, cache: number, large: number): Found[] {
  if (store < large || store <= cache) return [];
  return [
    {
      severity: "warning",
      subject: "page cache",
      evidence: `the store has ${mebibytes(store)}, the page cache ${mebibytes(cache)}`,
      cause: "what does not fit is read from the disk again and again: queries wait for it",
      remedies: [],
      advice: setting(`server.memory.pagecache.size=${Math.ceil((store * 1.2) / 2 ** 20)}m`),
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
  const cache = bytesOf(known.get("server.memory.pagecache.size"));
  const isHeapSet =
    known.has("server.memory.heap.max_size") || machine.arguments.some((word) => word.startsWith("-Xmx"));
  const found: Found[] = [];
  const percent = ((heapMax + (cache ?? 0)) / machine.memoryBytes) * 100;
  if (percent > limit) {
    found.push({
      severity: "warning",
      subject: "heap and page cache",
      evidence: `${mebibytes(heapMax)} of heap and ${mebibytes(cache ?? 0)} of page cache are ${percent.toFixed(0)} % of the machine's ${mebibytes(machine.memoryBytes)}`,
      cause: "nothing is left for the system and other programs: it swaps, or the kernel ends Neo4j",
      remedies: [],
      advice: setting(
        "server.memory.heap.max_size and server.memory.pagecache.size lower: together 75 % of the memory",
      ),
    });
  }
  const unset = [
    ...(isHeapSet ? [] : ["server.memory.heap.initial_size=2g", "server.memory.heap.max_size=4g"]),
    ...(cache === null ? ["server.memory.pagecache.size=4g"] : []),
  ];
  if (unset.length > 0) {
    found.push({
      severity: "info",
      subject: "memory settings",
      evidence: `not set: ${unset.map((line) => line.split("=")[0]).join(", ")}; the heap may grow to ${mebibytes(heapMax)} of ${mebibytes(machine.memoryBytes)}`,
      cause: "Neo4j guesses from the machine's memory, as if nothing else ran there",
      remedies: [],
      advice: setting(`${unset.join(", ")} (for 16 GB of memory; less where there is less)`),
    });
  }
  return found;
}
