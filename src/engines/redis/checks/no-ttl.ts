import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import type { Command } from "../client.ts";
import type { RedisConnection } from "../connect.ts";
import { RedisRefusal } from "../errors.ts";
import { allowed, infoOf, type RedisCheck } from "./facts.ts";
import { useOf } from "./memory.ts";

/** Namespaces whose keys the guides let expire, and for how long, s. */
const EXPIRING = { session: 3600, cache: 3600, lock: 30, translate: 3600 } as const;
/** Keys that are looked at, and those of each namespace whose time to live is asked for: that counts as a hit. */
const SCANNED = 20_000;
const ASKED = 100;
const STEP = 1_000;
const MOST_MS = 2_000;

export const noTimeToLive: RedisCheck = {
  id: "redis-keys-without-ttl",
  area: "redis",
  title: "sessions or cached answers that never expire",
  looks: "PTTL of up to 100 keys each of session:, cache:, lock: and translate:, out of 20,000 by SCAN",
  async run(call, scope) {
    const samples = await allowed(scope, "+scan", () => sample(call, scope.connection));
    const found: Found[] = [];
    const { policy } = useOf(await infoOf(call, scope), scope);
    for (const [name, keys] of samples) {
      const lives = await allowed(scope, "+pttl", () => livesOf(call, scope.connection, keys));
      const there = lives.filter((life) => life !== -2).length;
      const endless = lives.filter((life) => life === -1).length;
      if (endless === 0) continue;
      const seconds = EXPIRING[name as keyof typeof EXPIRING];
      found.push({
        severity: policy.startsWith("allkeys-") && name !== "lock" ? "info" : "warning",
        subject: `keys ${name}:* of database ${scope.connection.database} at ${scope.connection.at}`,
        evidence: `${endless} of ${there} that were looked at have no time to live`,
        cause:
          name === "lock"
            ? "A lock whose holder is gone is never free again."
            : "They stay until somebody deletes them, or the memory is full.",
        remedies: [],
        advice: `write them with an end (SET key value EX ${seconds}); for those that are there: a migration with EXPIRE, or SCAN 0 MATCH ${name}:* and EXPIRE key ${seconds}`,
      });
    }
    return found;
  },
};

/** Keys of the namespaces, from the beginning of a walk, which is a fair sample. */
async function sample(call: Call, connection: RedisConnection): Promise<Map<string, Buffer[]>> {
  const found = new Map<string, Buffer[]>();
  const endsAt = performance.now() + Math.min(MOST_MS, call.remainingMs() / 2);
  let cursor = "0";
  let scanned = 0;
  do {
    const [reply] = await connection.batch(call, [["SCAN", cursor, "COUNT", String(STEP)]]);
    if (reply instanceof RedisRefusal) throw reply;
    const [next, keys] = reply as [Buffer, Buffer[]];
    cursor = String(next);
    scanned += keys.length;
    for (const key of keys) {
      const name = key.subarray(0, key.indexOf(":")).toString("latin1");
      // user:…:sessions and session:…:ttl follow the session
      if (!Object.hasOwn(EXPIRING, name)) continue;
      const kept = found.get(name) ?? [];
      if (kept.length < ASKED) kept.push(key);
      found.set(name, kept);
    }
  } while (cursor !== "0" && scanned < SCANNED && performance.now() < endsAt);
  return found;
}

async function livesOf(call: Call, connection: RedisConnection, keys: readonly Buffer[]): Promise<number[]> {
  const replies = await connection.batch(
    call,
    keys.map((key): Command => ["PTTL", key]),
  );
  const refusal = replies.find((reply) => reply instanceof RedisRefusal);
  if (refusal) throw refusal;
  return replies as number[];
}
