/** Replies that would fill the memory of both sides. */
import type { Call } from "../../call.ts";
import { usageError } from "../../errors.ts";
import type { Commands } from "./client.ts";
import { shownBytes } from "./migration-words.ts";
import type { Line } from "./query-guard.ts";

/** Elements, or bytes of one value, that a single reply may have. */
const MOST = { elements: 100_000, bytes: 64 * 1024 ** 2 };

/** Commands that answer with all there is of a key: what counts it, and how it is read in pieces. */
const WHOLE: Readonly<Record<string, readonly [string, keyof typeof MOST, string]>> = {
  SMEMBERS: ["SCARD", "elements", "SSCAN key 0 COUNT 1000"],
  HGETALL: ["HLEN", "elements", "HSCAN key 0 COUNT 1000"],
  HKEYS: ["HLEN", "elements", "HSCAN key 0 COUNT 1000"],
  HVALS: ["HLEN", "elements", "HSCAN key 0 COUNT 1000"],
  LRANGE: ["LLEN", "elements", "a smaller range: LRANGE key 0 999"],
  ZRANGE: ["ZCARD", "elements", "a smaller range: ZRANGE key 0 999"],
  ZREVRANGE: ["ZCARD", "elements", "a smaller range: ZREVRANGE key 0 999"],
  XRANGE: ["XLEN", "elements", "XRANGE key - + COUNT 1000"],
  XREVRANGE: ["XLEN", "elements", "XREVRANGE key + - COUNT 1000"],
  GET: ["STRLEN", "bytes", "GETRANGE key 0 1023"],
  DUMP: ["STRLEN", "bytes", "opsctl backup redis"],
};

/** @throws OpsError `usage` when the reply would be out of all proportion */
export async function refuseHuge(call: Call, commands: Commands, { name, args }: Line): Promise<void> {
  const [counter, unit, instead] = WHOLE[name] ?? [];
  const [key] = args;
  if (counter === undefined || unit === undefined || key === undefined) return;
  if (spanOf(name, args) <= MOST.elements) return;
  const [size] = await commands.batch(call, [[counter, key]]);
  // refused, or another type: the command itself will say so
  if (typeof size !== "number" || size <= MOST[unit]) return;
  throw usageError(
    `${name} of ${shownBytes(key)} would answer with ${size.toLocaleString("en")} ${unit} at once (at most ${MOST[unit].toLocaleString("en")})`,
    instead ?? "",
  );
}

/** Elements that are asked for; Infinity where that depends on the key. */
function spanOf(name: string, args: readonly Buffer[]): number {
  const words = args.map((arg) => arg.toString("latin1").toUpperCase());
  const after = (word: string, by: number) =>
    words.includes(word) ? Number(words[words.indexOf(word) + by]) : Number.NaN;
  if (/^X/.test(name)) return boundOf(after("COUNT", 1));
  if (!/^(LRANGE|Z(REV)?RANGE)$/.test(name)) return Infinity;
  if (words.includes("BYSCORE") || words.includes("BYLEX")) return boundOf(after("LIMIT", 2));
  const [first, last] = [Number(words[1]), Number(words[2])];
  return first >= 0 === last >= 0 ? boundOf(last - first + 1) : Infinity;
}

/** A negative count is no bound. */
function boundOf(count: number): number {
  return count >= 0 ? count : Infinity;
}
