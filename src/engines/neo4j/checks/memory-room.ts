/** What a machine can give to heap and page cache. Bytes. */
import { bytesOf, type Settings } from "../server-facts.ts";

/** Heap and page cache together: the rest is for the system, its file cache and what Java needs beside the heap. */
const SHARE = 0.75;
/** Above it pointers of Java take twice the room. */
const SHORT_POINTERS = 31 * 2 ** 30;

/** The same in words. */
export const TOGETHER = `together ${100 * SHARE} % of the memory`;

/** The largest heap worth advising: half of the machine, and what the page cache leaves. */
export function heapRoom(machine: number, cache: number): number {
  return Math.min(machine / 2, SHARE * machine - cache);
}

/** The largest page cache worth advising. */
export function pageCacheRoom(machine: number, heapMax: number): number {
  return SHARE * machine - heapMax;
}

/**
 * What Neo4j takes where server.memory.pagecache.size is not set: half of what the heap leaves, within bounds.
 * https://neo4j.com/docs/operations-manual/current/performance/memory-configuration/
 */
function defaultPageCache(machine: number, heapMax: number): number {
  const most = Math.min(70 * heapMax, 20 * 2 ** 30);
  return Math.min(most, Math.max(32 * 2 ** 20, (machine - heapMax) / 2));
}

export interface PageCache {
  size: number;
  /** False: it is Neo4j's own choice. */
  isSet: boolean;
}

export function pageCacheOf(known: Settings, machine: number, heapMax: number): PageCache {
  const size = bytesOf(known.get("server.memory.pagecache.size"));
  return size === null ? { size: defaultPageCache(machine, heapMax), isSet: false } : { size, isSet: true };
}

/** A tenth more changes nothing that anybody would notice. */
export function isWorth(room: number, now: number): boolean {
  return room >= 1.1 * now;
}

/**
 * Of a machine with 16 GB 4 for each, as the guides have it; less where the other one, which is set, leaves less, but not next to nothing.
 * @param heap null: not set
 * @param cache null: not set
 */
export function firstGuess(machine: number, heap: number | null, cache: number | null) {
  const within = (room: number) => Math.min(machine / 4, Math.max(machine / 16, room));
  const heapGuess = heap ?? Math.min(SHORT_POINTERS, within(heapRoom(machine, cache ?? 0)));
  return { heap: heapGuess, cache: cache ?? within(pageCacheRoom(machine, heapGuess)) };
}

/** As a setting: `4096m`. */
export function sizeSetting(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 20)}m`;
}
