import { type Call, throwIfAborted } from "../../call.ts";
import type { Target } from "../../config/targets.ts";
import type { RedisStats } from "../../contract/stats-redis.ts";
import type { Statistics } from "../../health/port.ts";
import type { RedisConnection } from "./connect.ts";
import { type Info, type Keyspace, keyspaceOf, readInfo } from "./info.ts";
import { aclHint, isForbidden, userOf } from "./permissions.ts";
import { readNamespaces } from "./statistics-namespaces.ts";

/**
 * INFO, `CONFIG GET save`, and a bounded SCAN for the namespaces: never KEYS. Says what the target's user may not see.
 */
export function redisStatistics(connection: RedisConnection, target: Target): Statistics<RedisStats> {
  const user = userOf(target);
  return {
    async read(call, { sampleKeys, top }) {
      const unknown: RedisStats["unknown"] = [];
      /** What this user may not ask for is said, and the rest goes on. */
      const ask = async <T>(what: string, rule: string, work: () => Promise<T>): Promise<T | undefined> => {
        throwIfAborted(call);
        try {
          return await work();
        } catch (error) {
          if (!isForbidden(error)) throw error;
          unknown.push({ what, reason: error.message, hint: aclHint(error, user, rule) });
          return undefined;
        }
      };
      const info =
        (await ask("all figures of INFO", "+info", () => readInfo(call, connection, "default"))) ?? {};
      const isSentinel = info["redis_mode"] === "sentinel";
      const save = isSentinel
        ? undefined
        : await ask("whether snapshots are on", "+config|get", () => readSave(call, connection));
      const namespaces = isSentinel
        ? { namespaces: [], scanned: 0, sampled: false }
        : await readNamespaces(call, connection, ask, { sampleKeys, top, here: keysHere(info, connection) });
      return { ...figuresOf(info, save), keys: { ...keysOf(info), ...namespaces }, unknown };
    },
  };
}

/** @returns undefined: a service that hides the setting */
async function readSave(call: Call, connection: RedisConnection): Promise<string | undefined> {
  const reply = await connection.run(call, ["CONFIG", "GET", "save"], { words: 2 });
  return Array.isArray(reply) && reply.length === 2 ? String(reply[1]) : undefined;
}

function keysHere(info: Info, { database }: RedisConnection): Keyspace | undefined {
  if (info["redis_version"] === undefined) return undefined;
  return keyspaceOf({ [`db${database}`]: info[`db${database}`] });
}

function keysOf(info: Info): Pick<RedisStats["keys"], "total" | "expiring" | "databases"> {
  if (info["redis_version"] === undefined || info["redis_mode"] === "sentinel") {
    return { total: null, expiring: null, databases: [] };
  }
  const { keys, expiring } = keyspaceOf(info);
  const databases = Object.entries(info).flatMap(([name, value]) => {
    const number = /^db(\d+)$/.exec(name)?.[1];
    return number === undefined ? [] : [{ db: Number(number), ...keyspaceOf({ [name]: value }) }];
  });
  return { total: keys, expiring, databases };
}

function figuresOf(info: Info, save: string | undefined): Omit<RedisStats, "keys" | "unknown"> {
  const { amount, is } = reader(info);
  const [used, max] = [amount("used_memory"), amount("maxmemory")];
  const [hits, misses] = [amount("keyspace_hits"), amount("keyspace_misses")];
  const lookups = (hits ?? 0) + (misses ?? 0);
  const ops = info["instantaneous_ops_per_sec"];
  return {
    version: info["redis_version"] ?? "unknown",
    role: info["redis_mode"] === "sentinel" ? "sentinel" : (info["role"] ?? "unknown"),
    uptime_seconds: amount("uptime_in_seconds"),
    memory: {
      used_bytes: used,
      peak_bytes: amount("used_memory_peak"),
      rss_bytes: amount("used_memory_rss"),
      dataset_bytes: amount("used_memory_dataset"),
      max_bytes: max === 0 ? null : max,
      used_ratio: used !== null && max ? used / max : null,
      policy: info["maxmemory_policy"] ?? null,
      fragmentation_ratio: decimal(info["mem_fragmentation_ratio"]),
      system_bytes: amount("total_system_memory"),
    },
    evicted_keys: amount("evicted_keys"),
    expired_keys: amount("expired_keys"),
    rejected_connections: amount("rejected_connections"),
    hits,
    misses,
    hit_rate: hits === null || lookups === 0 ? null : hits / lookups,
    persistence: {
      loading: is("loading", "1"),
      aof_enabled: is("aof_enabled", "1"),
      aof_last_write_ok: is("aof_last_write_status", "ok"),
      aof_last_rewrite_ok: is("aof_last_bgrewrite_status", "ok"),
      aof_size_bytes: amount("aof_current_size"),
      aof_base_size_bytes: amount("aof_base_size"),
      aof_buffer_bytes: amount("aof_buffer_length"),
      aof_pending_fsyncs: amount("aof_pending_bio_fsync"),
      aof_delayed_fsyncs: amount("aof_delayed_fsync"),
      rdb_enabled: save === undefined ? null : save !== "",
      rdb_last_save_ok: is("rdb_last_bgsave_status", "ok"),
      ...lastSaveOf(amount("rdb_last_save_time")),
      changes_since_save: amount("rdb_changes_since_last_save"),
    },
    replication: {
      connected_replicas: amount("connected_slaves"),
      lag_bytes: lagOf(info),
      master_link: info["master_link_status"] ?? null,
    },
    clients: {
      connected: amount("connected_clients"),
      blocked: amount("blocked_clients"),
      max: amount("maxclients"),
    },
    commands_processed: amount("total_commands_processed"),
    commands_per_second: decimal(ops),
  };
}

function reader(info: Info) {
  return {
    /** A whole number; null: the server does not say. */
    amount(name: string): number | null {
      const value = decimal(info[name]);
      return value === null ? null : Math.max(0, Math.trunc(value));
    },
    is: (name: string, value: string) => (info[name] === undefined ? null : info[name] === value),
  };
}

function decimal(text: string | undefined): number | null {
  const value = text === undefined || text === "" ? Number.NaN : Number(text);
  return Number.isNaN(value) ? null : value;
}

/** The time is the server's, in seconds; before the first save it is that of its start. */
function lastSaveOf(seconds: number | null) {
  if (seconds === null || seconds === 0) return { rdb_last_save: null, rdb_last_save_age_ms: null };
  const at = seconds * 1000;
  return {
    rdb_last_save: new Date(at).toISOString(),
    rdb_last_save_age_ms: Math.max(0, Date.now() - at),
  };
}

/** Bytes that the slowest replica has not confirmed (`slave0:ip=…,state=online,offset=12,lag=0`). */
function lagOf(info: Info): number | null {
  const written = Number(info["master_repl_offset"]);
  const offsets = Object.entries(info).flatMap(([name, value = ""]) => {
    const offset = /^slave\d+$/.test(name) ? /(?:^|,)offset=(\d+)/.exec(value)?.[1] : undefined;
    return offset === undefined ? [] : [Number(offset)];
  });
  return offsets.length === 0 ? null : Math.max(0, written - Math.min(...offsets));
}
