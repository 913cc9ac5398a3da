/** Counts for `verify`: what the keys of a database are, by the namespaces of the shipped set. */
import type { Call } from "../../call.ts";
import type { Command, Commands } from "./client.ts";
import { scanPages } from "./migration-keys.ts";

interface Namespace {
  name: string;
  /** Over the key as Latin-1, where a byte is a character. */
  pattern: RegExp;
  /** Types that the guides give it, as TYPE answers; undefined: any. */
  types?: readonly string[];
}

/** The first that fits counts. */
const NAMESPACES: readonly Namespace[] = [
  { name: "session_ttl", pattern: /^session:.+:ttl$/s, types: ["string"] },
  { name: "session", pattern: /^session:.+$/s, types: ["string", "hash", "ReJSON-RL"] },
  { name: "user_sessions", pattern: /^user:.+:sessions$/s, types: ["set"] },
  { name: "cache", pattern: /^cache:./s },
  { name: "lock", pattern: /^lock:./s, types: ["string"] },
  { name: "translate", pattern: /^translate:./s, types: ["string"] },
];

const COUNT = 1_000;
/** More keys than this are not all looked at. */
const SAMPLE_KEYS = 100_000;

/**
 * Keys per namespace; `mistyped`: of another type than their namespace has; `without_ttl`: sessions that never expire; `keys`: of the
 * database; `sampled`: keys that were looked at, when not all were.
 */
export async function countNamespaces(
  call: Call,
  commands: Commands,
  sampleKeys = SAMPLE_KEYS,
): Promise<Record<string, number>> {
  const keys = Number(await commands.run(call, ["DBSIZE"]));
  const names = [
    "session",
    "user_sessions",
    "session_ttl",
    "cache",
    "lock",
    "translate",
    "other",
    "mistyped",
    "without_ttl",
  ];
  const counts: Record<string, number> = Object.fromEntries([
    ["keys", keys],
    ...names.map((name) => [name, 0]),
  ]);
  let seen = 0;
  for await (const page of scanPages(call, commands, {}, COUNT)) {
    await countPage(call, commands, page, counts);
    seen += page.length;
    call.progress({ label: "namespaces", done: seen, total: keys, unit: "keys" });
    if (keys <= sampleKeys || seen < sampleKeys) continue;
    call.log(
      "WARNING",
      `Redis at ${commands.at} holds ${keys.toLocaleString("en")} keys: the counts are those of ${seen.toLocaleString("en")} of them`,
    );
    return { ...counts, sampled: seen };
  }
  return counts;
}

async function countPage(
  call: Call,
  commands: Commands,
  page: readonly Buffer[],
  counts: Record<string, number>,
): Promise<void> {
  const found = page.map((key) => ({ key, namespace: namespaceOf(key) }));
  for (const { namespace } of found) counts[namespace?.name ?? "other"]! += 1;
  const typed = found.filter(({ namespace }) => namespace?.types);
  const sessions = found.filter(({ namespace }) => namespace?.name === "session");
  const questions: Command[] = [
    ...typed.map(({ key }): Command => ["TYPE", key]),
    ...sessions.map(({ key }): Command => ["TTL", key]),
  ];
  if (questions.length === 0) return;
  const replies = await commands.batch(call, questions, { quotes: true });
  const refused = replies.find((reply) => reply instanceof Error);
  if (refused) throw refused;
  for (const [index, { namespace }] of typed.entries()) {
    const type = String(replies[index]);
    // gone since it was listed
    if (type !== "none" && !namespace!.types!.includes(type)) counts["mistyped"]! += 1;
  }
  for (const ttl of replies.slice(typed.length)) {
    if (ttl === -1) counts["without_ttl"]! += 1;
  }
}

function namespaceOf(key: Buffer): Namespace | undefined {
  const text = key.toString("latin1");
  return NAMESPACES.find(({ pattern }) => pattern.test(text));
}
