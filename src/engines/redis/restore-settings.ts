/** Settings that are changed for as long as a server loads, and what brings it back to itself, in this process or in another. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Call, createCall } from "../../call.ts";
import type { Saved } from "../../restore/port.ts";
import type { Commands } from "./client.ts";
import { RedisRefusal } from "./errors.ts";
import { readInfo } from "./info.ts";

/** Writes into the journal what has to be taken back. `hasBegun` is false: the server is known to hold what it held. */
export type SaveLoading = (saved: Saved, hasBegun?: boolean) => Promise<void>;

/** Before a name, in `Saved`: its value before. */
const WAS = "was ";
const POLL_MS = 50;
/** For a server to give up a load whose sender is gone. */
const GIVE_UP_MS = 15_000;
/** For the memory of the data that were replaced to become free. */
const FREEING_MS = 60_000;
/** The policy that drops no keys. */
export const KEEP_ALL = "noeviction";

/** The settings of a server by name. @throws OpsError; RedisRefusal: this user may not read them */
export async function readSettings(
  call: Call,
  commands: Commands,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  // several at a time need Redis 7
  const replies = await commands.batch(
    call,
    names.map((name) => ["CONFIG", "GET", name] as const),
    { words: 2 },
  );
  for (const reply of replies) {
    if (reply instanceof RedisRefusal) throw reply;
    const [name, value] = reply as (Buffer | undefined)[];
    // one character a byte: a password may be anything
    if (name !== undefined && value !== undefined) found.set(name.toString(), value.toString("latin1"));
  }
  return found;
}

/** What is written into the journal before these settings are changed. */
export function kept(before: Readonly<Record<string, string>>): Saved {
  return Object.fromEntries(Object.entries(before).map(([name, value]) => [`${WAS}${name}`, value]));
}

/** Whether a process that died left something to take back. */
export function isChanged(saved: Saved): boolean {
  return Object.keys(saved).some((name) => name === "master_port" || name.startsWith(WAS));
}

/** @throws OpsError; RedisRefusal */
export async function setSettings(
  call: Call,
  commands: Commands,
  settings: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, value] of Object.entries(settings))
    await commands.run(call, ["CONFIG", "SET", name, value], { words: 2 });
}

/** A call that goes on when the other one is over: what was changed has to be taken back. */
export function afterwards(call: Call, timeoutMs: number): Call {
  const { actor, log, progress } = call;
  return createCall({ actor, timeoutMs, signal: new AbortController().signal, log, progress });
}

/**
 * Makes the server a replica of nobody, if it is still the one of a restore, and gives its settings back. May be repeated.
 * @param saved as in the journal
 * @throws OpsError
 */
export async function takeBack(call: Call, commands: Commands, saved: Saved): Promise<void> {
  if (saved["master_port"] !== undefined) await promote(call, commands, saved);
  const before: Record<string, string> = {};
  for (const [name, value] of Object.entries(saved))
    if (name.startsWith(WAS)) before[name.slice(WAS.length)] = String(value);
  const { "maxmemory-policy": policy, ...others } = before;
  await setSettings(call, commands, others);
  if (policy === undefined) return;
  // what is not freed yet counts as used, and would evict what was just restored
  await freed(call, commands);
  await setSettings(call, commands, { "maxmemory-policy": policy });
}

/** While it loads it refuses: it stops when its master is gone. */
async function promote(call: Call, commands: Commands, saved: Saved): Promise<void> {
  const endsAt = performance.now() + Math.min(GIVE_UP_MS, call.remainingMs());
  for (;;) {
    try {
      const info = await readInfo(call, commands, "replication");
      const isOurs =
        info["master_host"] === saved["master_host"] && info["master_port"] === String(saved["master_port"]);
      if (info["role"] === "slave" && isOurs)
        await commands.run(call, ["REPLICAOF", "NO", "ONE"], { writes: true });
      return;
    } catch (error) {
      const isLoading = error instanceof RedisRefusal && error.reply === "LOADING";
      if (!isLoading || performance.now() > endsAt) throw error;
      await sleep(POLL_MS);
    }
  }
}

/** Waits until the server has given back the memory of what it dropped. */
export async function freed(call: Call, commands: Commands): Promise<void> {
  const endsAt = performance.now() + Math.min(FREEING_MS, call.remainingMs());
  while (performance.now() < endsAt) {
    const { lazyfree_pending_objects: pending = "0" } = await readInfo(call, commands, "memory");
    if (pending === "0") return;
    await sleep(POLL_MS);
  }
}
