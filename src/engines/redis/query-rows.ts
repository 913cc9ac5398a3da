/** Replies as rows. */
import type { QueryResult } from "../../query/port.ts";
import { keyText } from "./key-text.ts";
import type { Line } from "./query-guard.ts";

/** Commands that answer with names and values in turn. */
const PAIRS: Readonly<Record<string, readonly [string, string]>> = {
  HGETALL: ["field", "value"],
  "CONFIG|GET": ["setting", "value"],
  "MEMORY|STATS": ["name", "value"],
  "XINFO|STREAM": ["name", "value"],
  "ACL|GETUSER": ["name", "value"],
  "FUNCTION|STATS": ["name", "value"],
  "PUBSUB|NUMSUB": ["channel", "subscribers"],
  "PUBSUB|SHARDNUMSUB": ["channel", "subscribers"],
};

/** The same with an option. */
const WITH_SCORES = /^(ZRANGE|ZREVRANGE|ZRANGEBYSCORE|ZREVRANGEBYSCORE|ZDIFF|ZINTER|ZUNION|ZRANDMEMBER)$/;

/** Commands that answer with a text of `name:value` lines, and with one of lines. */
const FIELDS = new Set(["INFO", "CLUSTER|INFO"]);
const LINES = new Set(["CLIENT|LIST", "CLUSTER|NODES"]);

/** They answer with the number of keys, members or fields that are gone. */
const COUNTED = /^(DEL|UNLINK|SREM|ZREM|HDEL|LREM|XDEL)$/;

/** Settings that are passwords; the server shows them to whoever may ask. */
const SECRET_SETTING = /^(requirepass|masterauth|primaryauth|tls-(client-)?key-file-pass)$/i;

/**
 * A single value is one row `value`; INFO is two columns, CLIENT LIST one row a line; a list one row an element, with the lists in it as they are; names and values in turn are two columns. Bytes
 * that are no UTF-8 are written as redis-cli quotes them (`"\x80abc"`), which a query takes back. Passwords of CONFIG GET are `***`.
 */
export function resultOf(line: Line, given: unknown, limit: number): QueryResult {
  const full = line.sub === undefined ? line.name : `${line.name}|${line.sub}`;
  const reply = FIELDS.has(full) || LINES.has(full) ? linesOf(full, plain(given)) : given;
  const changed = COUNTED.test(line.name) && typeof reply === "string" ? Number(reply) : null;
  const columns = pairsOf(full, line) ?? ["value"];
  const rows = Array.isArray(reply) ? rowsOf(reply, columns.length, limit) : [[plain(reply)]];
  if (full === "CONFIG|GET") hideSecrets(rows);
  const count = Array.isArray(reply) ? Math.ceil(reply.length / columns.length) : 1;
  return { columns: [...columns], rows, truncated: count > limit, changed };
}

function pairsOf(full: string, { name, args }: Line): readonly string[] | undefined {
  const has = (word: string) => args.some((arg) => arg.toString("latin1").toUpperCase() === word);
  if (WITH_SCORES.test(name) && has("WITHSCORES")) return ["member", "score"];
  if (name === "HRANDFIELD" && has("WITHVALUES")) return ["field", "value"];
  if (/^ZPOP(MIN|MAX)$/.test(name)) return ["member", "score"];
  return FIELDS.has(full) ? ["field", "value"] : PAIRS[full];
}

/** Headings are left out: a field stands in one section only. */
function linesOf(full: string, text: unknown): Buffer[] {
  const lines = String(text)
    .split(/\r?\n/)
    .filter((line) => line !== "" && !line.startsWith("# "));
  const words = (line: string) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)];
  return (LINES.has(full) ? lines : lines.flatMap(words)).map((word) => Buffer.from(word));
}

function rowsOf(reply: readonly unknown[], width: number, limit: number): unknown[][] {
  const rows: unknown[][] = [];
  for (let at = 0; at < reply.length && rows.length < limit; at += width) {
    rows.push(reply.slice(at, at + width).map(plain));
  }
  return rows;
}

function hideSecrets(rows: unknown[][]): void {
  for (const row of rows) {
    if (SECRET_SETTING.test(String(row[0])) && row[1] !== "") row[1] = "***";
  }
}

function plain(reply: unknown): unknown {
  if (Buffer.isBuffer(reply)) return keyText(reply, Infinity);
  if (Array.isArray(reply)) return reply.map(plain);
  if (reply instanceof Error) return reply.message;
  // a whole number, as text
  if (typeof reply === "string") return Number.isSafeInteger(Number(reply)) ? Number(reply) : reply;
  return reply ?? null;
}
