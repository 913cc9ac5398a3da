import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { bytes } from "../../../amounts.ts";
import type { Call } from "../../../call.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { ask, type PostgresCheck, type PostgresScope, toSet } from "./kit.ts";
import { placeOf } from "./where.ts";

interface Row {
  buffers: number;
  cache: number;
  work: number;
  connections: number;
}

const SETTINGS = `SELECT pg_size_bytes(current_setting('shared_buffers')) AS buffers, pg_size_bytes(current_setting('effective_cache_size')) AS cache,
  pg_size_bytes(current_setting('work_mem')) AS work, current_setting('max_connections')::int AS connections`;

const MIB = 1_048_576;

export const memorySettings: PostgresCheck = {
  id: "postgres-memory-settings",
  area: "postgres",
  title: "memory settings do not fit the machine",
  looks:
    "shared_buffers, effective_cache_size, work_mem × max_connections; /proc/meminfo where the server runs on this host",
  async run(call, scope) {
    const [row] = await ask<Row>(call, scope, SETTINGS);
    const memory = (await placeOf(call, scope)) === "here" ? await memoryOf(scope.root) : undefined;
    const found = [await cacheSize(call, scope, row!)];
    if (memory !== undefined) {
      found.push(await buffers(call, scope, row!, memory), await sorting(call, scope, row!, memory));
    }
    return found.filter((one) => one !== undefined);
  },
};

/** Bytes; undefined: not readable here. */
async function memoryOf(root: string): Promise<number | undefined> {
  const text = await readFile(join(root, "proc/meminfo"), "utf8").catch(() => "");
  const kib = /^MemTotal:\s*(\d+) kB$/m.exec(text)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

async function cacheSize(call: Call, scope: PostgresScope, row: Row): Promise<Found | undefined> {
  if (row.cache >= row.buffers) return undefined;
  return {
    severity: "info",
    subject: "effective_cache_size",
    evidence: `${bytes(row.cache)}, less than shared_buffers (${bytes(row.buffers)})`,
    cause: "the planner believes that little is cached, and reads whole tables where an index would do",
    ...(await toSet(call, scope, "effective_cache_size", megabytes(row.buffers * 3))),
  };
}

/** The manual: a quarter of the memory; more than 40 % is unlikely to work better. */
async function buffers(
  call: Call,
  scope: PostgresScope,
  row: Row,
  memory: number,
): Promise<Found | undefined> {
  const isMuch = row.buffers > memory / 2;
  if (!isMuch && row.buffers >= memory / 16) return undefined;
  return {
    severity: isMuch ? "warning" : "info",
    subject: "shared_buffers",
    evidence: `${bytes(row.buffers)} of ${bytes(memory)} memory`,
    cause: isMuch
      ? "little is left for sessions, sorting and the file cache: the system may swap, or kill the server"
      : "a server of its own works best with about a quarter of the memory; this is near the default",
    ...(await toSet(call, scope, "shared_buffers", megabytes(memory / 4))),
  };
}

async function sorting(
  call: Call,
  scope: PostgresScope,
  row: Row,
  memory: number,
): Promise<Found | undefined> {
  const most = row.work * row.connections;
  if (most <= memory) return undefined;
  return {
    severity: "warning",
    subject: "work_mem",
    evidence: `${bytes(row.work)} × ${row.connections} connections = ${bytes(most)}, with ${bytes(memory)} memory`,
    cause:
      "every sort and hash may take that much, several in one query: under load the system kills the server",
    ...(await toSet(call, scope, "work_mem", `${kibibytes(memory / 4 / row.connections)}kB`)),
  };
}

function megabytes(count: number): string {
  return `${Math.max(16, Math.round(count / MIB))}MB`;
}

/** Not below the least that the server takes. */
function kibibytes(count: number): number {
  return Math.max(64, Math.floor(count / 1024));
}
