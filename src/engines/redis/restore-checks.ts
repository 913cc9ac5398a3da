/** What a server must be to take a file, found out without changing anything. */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import { type Info, keyspaceOf } from "./info.ts";
import type { RdbHead } from "./restore-entries.ts";

/** Above its limit by so much a server never is for long: other data than these made the file. */
const MUCH_MORE = 1.2;
/** From here on the keys and what a server needs beside them may not fit any more. */
const NEARLY = 0.9;

/** The newest RDB version that a release of Redis reads (rdb.h), newest release first; forks name the release that they are of. */
const READS: readonly (readonly [major: number, minor: number, rdb: number])[] = [
  [7, 4, 12],
  [7, 2, 11],
  [7, 0, 10],
  [5, 0, 9],
  [4, 0, 8],
  [3, 2, 7],
  [2, 6, 6],
];

/** @returns what is wrong, or null: it reads it, or nobody knows */
export function tooOld(serverVersion: string | undefined, rdb: number): string | null {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(serverVersion ?? "")?.map(Number) ?? [];
  if (major === undefined || minor === undefined) return null;
  const isAtLeast = ([a, b]: readonly number[]) => major > a! || (major === a && minor >= b!);
  const reads = READS.find(isAtLeast)?.[2];
  // newer releases than those of the table read all that this program knows
  if (reads === undefined || reads >= rdb || (major >= 8 && reads === READS[0]![2])) return null;
  const wanted = READS.findLast(([, , version]) => version >= rdb) ?? READS[0]!;
  return `is ${serverVersion} and reads RDB files up to version ${reads}; this one has version ${rdb}, of Redis ${wanted[0]}.${wanted[1]}`;
}

/** @throws OpsError `failed` for a server that cannot take the file */
export function requireFit(at: string, info: Info, head: RdbHead, fileBytes: number): string[] {
  const refuse = (what: string, hint: string) => {
    throw new OpsError({ code: "failed", message: `Redis at ${at} ${what}`, hint, engine: "redis" });
  };
  if (info["cluster_enabled"] === "1")
    refuse(
      "is a node of a cluster",
      "restore into a server of its own, and move the keys with redis-cli --cluster import",
    );
  const old = tooOld(info["redis_version"], head.version);
  if (old !== null) refuse(old, "restore into a server that is as new as the one that the file comes from");
  return memoryNotes(info, head, fileBytes, refuse);
}

function memoryNotes(
  info: Info,
  { facts }: RdbHead,
  fileBytes: number,
  refuse: (what: string, hint: string) => void,
): string[] {
  const limit = Number(info["maxmemory"] ?? 0);
  const used = Number(facts["used-mem"] ?? 0);
  const policy = info["maxmemory_policy"] ?? "";
  const notes = [];
  if (limit > 0 && (used > limit * MUCH_MORE || fileBytes > limit)) {
    const size =
      used > fileBytes ? `the file's server used ${mebibytes(used)}` : `the file has ${mebibytes(fileBytes)}`;
    refuse(
      `has a maxmemory of ${mebibytes(limit)}, and ${size}: ${policy === "noeviction" ? "it would refuse writes" : "it would evict what is restored"}`,
      "raise maxmemory, or restore into a larger server",
    );
  }
  if (limit > 0 && used > limit * NEARLY) {
    const outcome = policy === "noeviction" ? "refuse writes" : `evict keys of them (${policy})`;
    notes.push(`the restored data fill its maxmemory (${mebibytes(limit)}) nearly: it may ${outcome}`);
  }
  const replicas = Number(info["connected_slaves"] ?? 0);
  if (replicas > 0) notes.push(`its ${replicas} replicas will copy all data anew`);
  return notes;
}

/** A note for a server that holds more than it may. */
export function fullNotes(info: Info): string[] {
  const limit = Number(info["maxmemory"] ?? 0);
  const used = Number(info["used_memory"] ?? 0);
  if (limit === 0 || used < limit) return [];
  const policy = info["maxmemory_policy"];
  return [
    `it uses ${mebibytes(used)} of a maxmemory of ${mebibytes(limit)}, and ${policy === "noeviction" ? "refuses writes" : `evicts keys (${policy})`}: raise maxmemory`,
  ];
}

/**
 * A replica takes no data but its master's.
 * @param ours `host:port` that an unfinished restore told it
 * @throws OpsError `failed`
 */
export function requireMaster(at: string, info: Info, ours: string | undefined): void {
  if (info["role"] !== "slave") return;
  const master = `${info["master_host"]}:${info["master_port"]}`;
  if (master === ours) return;
  throw new OpsError({
    code: "failed",
    message: `Redis at ${at} is a replica of ${master}, and takes no other data`,
    hint: `restore into ${master}, or end the replication first: REPLICAOF NO ONE`,
    engine: "redis",
  });
}

/**
 * A file with keys in a database that the server does not have ends a server that loads it.
 * @param breakdown of the file
 * @throws OpsError `failed`
 */
export async function requireDatabases(
  call: Call,
  connection: RedisConnection,
  breakdown: Readonly<Record<string, number>>,
  highestNamed = 0,
): Promise<void> {
  const numbers = Object.keys(breakdown).map((name) => Number(/^db(\d+)$/.exec(name)?.[1] ?? 0));
  const highest = Math.max(highestNamed, ...numbers);
  if (highest === 0) return;
  const [reply] = await connection.batch(call, [
    ["SELECT", String(highest)],
    ["SELECT", "0"],
  ]);
  if (!(reply instanceof RedisRefusal)) return;
  if (reply.code === "auth") throw reply;
  throw new OpsError({
    code: "failed",
    message: `the file has keys in database ${highest}, and Redis at ${connection.at} has no database of that number`,
    hint: "raise databases in the server's configuration, and restart it",
    engine: "redis",
  });
}

/** `41 keys in 3 databases, 2 libraries of functions`, `nothing` */
export function contentsOf(info: Info): { isEmpty: boolean; words: string } {
  const { keys } = keyspaceOf(info);
  const databases = Object.keys(info).filter((name) => /^db\d+$/.test(name)).length;
  const libraries = Number(info["number_of_libraries"] ?? 0);
  const words = [
    ...(keys === 0 ? [] : [`${keys} keys in ${databases} database${databases === 1 ? "" : "s"}`]),
    ...(libraries === 0 ? [] : [`${libraries} librar${libraries === 1 ? "y" : "ies"} of functions`]),
  ];
  return { isEmpty: words.length === 0, words: words.join(", ") || "nothing" };
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
