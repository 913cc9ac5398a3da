import { setTimeout as sleep } from "node:timers/promises";
import { bytes } from "../../amounts.ts";
import type { Call } from "../../call.ts";
import type { Thresholds } from "../../config/thresholds.ts";
import type { Maintenance, MaintenanceTask } from "../../maintain/port.ts";
import type { RedisConnection } from "./connect.ts";
import { type Info, readInfo } from "./info.ts";
import { type Job, startJob } from "./maintenance-job.ts";
import { isForbidden } from "./permissions.ts";

/** From this growth on a rewrite of the append-only file pays: the server's own `auto-aof-rewrite-percentage`. */
const AOF_GROWTH = 2;
/** The server measures its memory every 100 ms, and INFO tells what it measured last. */
const MEASURED_MS = 300;

/** What Redis can be asked to do for itself: rewrite its append-only file, save again, give memory back. */
export function redisMaintenance(connection: RedisConnection, thresholds: Thresholds): Maintenance {
  return {
    async plan(call, { all }) {
      const [memory, persistence] = [
        await readInfo(call, connection, "memory"),
        await readInfo(call, connection, "persistence"),
      ];
      const save = await savePoints(call, connection);
      const context = { connection, memory, persistence, thresholds, all, save };
      return [snapshot(context), rewrite(context), purge(context)].filter((task) => task !== undefined);
    },
  };
}

interface Context {
  connection: RedisConnection;
  memory: Info;
  persistence: Info;
  thresholds: Thresholds;
  all: boolean;
  /** Undefined: may not be asked for. */
  save: string | undefined;
}

async function savePoints(call: Call, connection: RedisConnection): Promise<string | undefined> {
  try {
    const reply = await connection.run(call, ["CONFIG", "GET", "save"], { words: 2 });
    return Array.isArray(reply) ? String(reply[1] ?? "") : undefined;
  } catch (error) {
    if (!isForbidden(error)) throw error;
    return undefined;
  }
}

function bytesOf(info: Info, field: string): number {
  return Number(info[field] ?? 0);
}

/** BGSAVE, when the last one failed: it is tried again only at the next save point. */
function snapshot({ connection, memory, persistence, all, save }: Context): MaintenanceTask | undefined {
  const failed = persistence["rdb_last_bgsave_status"] === "err";
  const changes = bytesOf(persistence, "rdb_changes_since_last_save");
  if (!failed && (!all || !save || changes === 0)) return undefined;
  return {
    kind: "snapshot",
    subject: connection.at,
    why: failed
      ? `the last snapshot failed; ${changes} changes are in none`
      : `${changes} changes are in no snapshot`,
    statement: "BGSAVE",
    work_bytes: bytesOf(memory, "used_memory_dataset"),
    run: (call) => runJob(call, connection, SNAPSHOT),
  };
}

/** BGREWRITEAOF, when the file has doubled; a server whose automatic rewrite is off never does it by itself. */
function rewrite({ connection, persistence, thresholds, all }: Context): MaintenanceTask | undefined {
  if (persistence["aof_enabled"] !== "1") return undefined;
  const [now, base] = [bytesOf(persistence, "aof_current_size"), bytesOf(persistence, "aof_base_size")];
  const failed = persistence["aof_last_bgrewrite_status"] === "err";
  const grown = now >= thresholds.large && now >= AOF_GROWTH * base;
  if (!failed && !grown && !(all && now > base)) return undefined;
  const growth = `the append-only file has ${bytes(now)}, ${bytes(base)} after its last rewrite`;
  return {
    kind: "aof-rewrite",
    subject: connection.at,
    why: failed ? `the last rewrite failed; ${growth}` : growth,
    statement: "BGREWRITEAOF",
    work_bytes: now,
    async run(call) {
      const { note } = await runJob(call, connection, REWRITE);
      if (note !== null) return { freed_bytes: null, note };
      const after = bytesOf(await readInfo(call, connection, "persistence"), "aof_current_size");
      return { freed_bytes: Math.max(0, now - after), note: null };
    },
  };
}

/** MEMORY PURGE, when the allocator holds many pages that nothing is in; it is a command of jemalloc. */
function purge({ connection, memory, thresholds, all }: Context): MaintenanceTask | undefined {
  const idle = bytesOf(memory, "allocator_rss_bytes");
  const [used, resident] = [bytesOf(memory, "used_memory"), bytesOf(memory, "used_memory_rss")];
  const ratio = bytesOf(memory, "mem_fragmentation_ratio");
  const pays = ratio >= thresholds.redis_fragmentation && idle >= thresholds.large;
  if (!memory["mem_allocator"]?.startsWith("jemalloc") || idle <= 0 || !(pays || all)) return undefined;
  return {
    kind: "memory-purge",
    subject: connection.at,
    why: `${bytes(idle)} of pages without data: ${bytes(resident)} are resident for ${bytes(used)} in use (ratio ${ratio})`,
    statement: "MEMORY PURGE",
    work_bytes: null,
    async run(call) {
      await connection.run(call, ["MEMORY", "PURGE"], { writes: true, words: 2, quotes: true });
      await sleep(MEASURED_MS);
      const after = bytesOf(await readInfo(call, connection, "memory"), "used_memory_rss");
      return {
        freed_bytes: Math.max(0, resident - after),
        note: "holes inside of pages stay until activedefrag closes them, or a restart",
      };
    },
  };
}

const SNAPSHOT: Job = {
  command: ["BGSAVE"],
  fields: { busy: ["rdb_bgsave_in_progress"], status: "rdb_last_bgsave_status" },
  what: "snapshot",
};

const REWRITE: Job = {
  command: ["BGREWRITEAOF"],
  fields: {
    busy: ["aof_rewrite_in_progress", "aof_rewrite_scheduled"],
    status: "aof_last_bgrewrite_status",
  },
  what: "append-only file",
};

async function runJob(call: Call, connection: RedisConnection, job: Job) {
  return { freed_bytes: null, note: await startJob(call, connection, job) };
}
