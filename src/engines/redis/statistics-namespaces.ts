/** Which namespaces a keyspace has, from a bounded walk with SCAN. */
import type { Call } from "../../call.ts";
import type { RedisStats } from "../../contract/stats-redis.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import type { Keyspace } from "./info.ts";
import { keyText } from "./key-text.ts";

/** Keys that one SCAN asks for: some tenths of a millisecond of the server's time. */
const STEP = 1_000;
/** A keyspace with many empty slots answers little to each SCAN, ms. */
const MOST_MS = 2_000;
/** Characters of a name. */
const MOST_CHARS = 64;

type Ask = <T>(what: string, rule: string, work: () => Promise<T>) => Promise<T | undefined>;

export interface NamespaceOptions {
  /** Keys to look at, at most. */
  sampleKeys: number;
  /** Namespaces to list. */
  top: number;
  /** Of the database; undefined: INFO did not say. */
  here: Keyspace | undefined;
}

/**
 * SCAN goes through the hash table in an order that has nothing to do with names, so that its beginning is a fair sample.
 * @param ask runs what may be refused
 */
export async function readNamespaces(
  call: Call,
  connection: RedisConnection,
  ask: Ask,
  { sampleKeys, top, here }: NamespaceOptions,
): Promise<Pick<RedisStats["keys"], "namespaces" | "sampled" | "scanned">> {
  const walked = await ask("keys by namespace", "+scan", () => walk(call, connection, sampleKeys));
  if (walked === undefined) return { namespaces: [], sampled: false, scanned: 0 };
  const { seen, scanned, isWhole } = walked;
  const all = isWhole ? scanned : Math.max(scanned, here?.keys ?? (await size(call, connection, ask)) ?? 0);
  const ranked = [...seen].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  const rest = ranked.slice(top).reduce((sum, [, keys]) => sum + keys, 0);
  const shown = rest > 0 ? [...ranked.slice(0, top), ["(other)", rest] as const] : ranked;
  const namespaces = shown.map(([name, keys]) => ({
    name,
    keys: Math.round((keys / scanned) * all),
    share: keys / scanned,
    expiring_share: expiringShare(here),
  }));
  return { namespaces, sampled: !isWhole, scanned };
}

/** Only what the totals tell: asking a key for its time to live counts as a hit, and would falsify the hit rate. */
function expiringShare(here: Keyspace | undefined): number | null {
  if (here === undefined) return null;
  return here.expiring === 0 ? 0 : here.expiring === here.keys ? 1 : null;
}

async function walk(call: Call, connection: RedisConnection, most: number) {
  /** Keys by namespace. */
  const seen = new Map<string, number>();
  const endsAt = performance.now() + Math.min(MOST_MS, call.remainingMs() / 2);
  let scanned = 0;
  let cursor = "0";
  do {
    const step = String(Math.min(STEP, most - scanned));
    const [reply] = await connection.batch(call, [["SCAN", cursor, "COUNT", step]]);
    if (reply instanceof RedisRefusal) throw reply;
    const [next, keys] = reply as [Buffer, Buffer[]];
    cursor = String(next);
    for (const key of keys) {
      // an answer may hold some keys more than were asked for
      if (scanned === most) return { seen, scanned, isWhole: false };
      scanned += 1;
      const name = namespaceOf(key);
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }
  } while (cursor !== "0" && scanned < most && performance.now() < endsAt);
  return { seen, scanned, isWhole: cursor === "0" };
}

function namespaceOf(key: Buffer): string {
  const colon = key.indexOf(":");
  return colon < 0 ? "(none)" : keyText(key.subarray(0, colon), MOST_CHARS);
}

async function size(call: Call, connection: RedisConnection, ask: Ask): Promise<number | undefined> {
  return ask("the number of keys", "+dbsize", async () => Number(await connection.run(call, ["DBSIZE"])));
}
