/** Loads a dump into an empty database with PostgreSQL's own programs. */
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import type { Call } from "../../call.ts";
import { type RunningTool, startTool, type ToolOptions } from "../../child.ts";
import type { RestoreFile } from "../../restore/port.ts";
import { feedTool, outputOf, together } from "./backup-streams.ts";
import { toolOptions } from "./client-tools.ts";
import type { PostgresConnection } from "./connect.ts";
import { connectionString } from "./quoting.ts";
import { explainLoad } from "./restore-failure.ts";
import type { RestoreSession } from "./restore-session.ts";

const SIGN_OF_LIFE_MS = 1_000;
const ORPHANS_MS = 500;
/** The graph of an HNSW index that does not fit is built many times slower; other indexes are sorted in one pass. kB, for each process. */
const LEAST_INDEX_MEMORY_KB = 262_144;
const INDEX_MEMORY = `SELECT greatest(setting::bigint, ${LEAST_INDEX_MEMORY_KB}) AS kb FROM pg_settings WHERE name = 'maintenance_work_mem'`;
/** The lines of `\restrict` are near the ends of a script. */
const EDGE_BYTES = 4_096;

export interface LoadOrder {
  file: RestoreFile;
  /** To the empty database. */
  into: PostgresConnection;
  /** To another one of its server. */
  server: RestoreSession;
  jobs: number;
  /** More arguments of pg_restore. */
  flags: readonly string[];
}

/**
 * Loads the file. Nothing of it is forced to disk before the caller's next commit.
 * @throws OpsError `integrity` when the file is to blame, `failed` when the server cannot take it, `unreachable` when it is gone
 */
export async function loadDump(call: Call, order: LoadOrder): Promise<void> {
  const { file, into, server, jobs, flags } = order;
  const options = await loadOptions(call, into, server);
  const entry = connectionString(into.where.database);
  try {
    if (file.kind === "postgres-plain") {
      await loadScript(call, file, entry, options);
    } else {
      // its lines of --verbose end it when nobody reads them any more: it must not outlive this process
      const own = ["--exit-on-error", "--verbose", "--no-password", `--jobs=${jobs}`, `--dbname=${entry}`];
      const tool = startTool(call, "pg_restore", [...own, ...flags, file.local], options);
      const watch = setInterval(endOrphans, ORPHANS_MS, tool);
      await drain(tool).finally(() => clearInterval(watch));
    }
  } catch (error) {
    if (!call.signal.aborted) await server.query(call, "SELECT 1");
    throw explainLoad(error, file);
  }
}

/** A power cut may take what was loaded, as long as nothing is live: what is loaded is flushed once, at the end. */
async function loadOptions(
  call: Call,
  into: PostgresConnection,
  server: RestoreSession,
): Promise<ToolOptions & { stdin: "pipe" | "ignore" }> {
  const [memory] = await server.query<{ kb: number }>(call, INDEX_MEMORY);
  const settings = {
    maintenance_work_mem: `${memory!.kb}kB`,
    synchronous_commit: "off",
    statement_timeout: "0",
    lock_timeout: "0",
    idle_in_transaction_session_timeout: "0",
    default_transaction_read_only: "off",
  };
  const environment = into.environment();
  const given = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const PGOPTIONS = [environment["PGOPTIONS"], ...given].filter(Boolean).join(" ");
  return { ...toolOptions({ ...environment, PGOPTIONS, PGAPPNAME: "opsctl restore" }), stdin: "ignore" };
}

/** When pg_restore itself is killed, its jobs go on, and their output does not end. */
function endOrphans(tool: RunningTool): void {
  if (tool.pid === undefined) return;
  try {
    process.kill(tool.pid, 0);
  } catch {
    tool.kill();
  }
}

async function drain(tool: RunningTool): Promise<void> {
  for await (const _ of outputOf(tool)) {
    // results of its statements
  }
  await tool.done;
}

/**
 * psql takes commands of its own from a script, which start programs and connect elsewhere. `\restrict` forbids them until its key comes: the
 * script's own pair is taken away, and one around all of it put in its place.
 */
async function loadScript(call: Call, file: RestoreFile, entry: string, options: ToolOptions): Promise<void> {
  const key = randomBytes(32).toString("hex");
  const args = [
    "-X",
    "-q",
    "-v",
    "ON_ERROR_STOP=1",
    "--single-transaction",
    "--no-password",
    "-f",
    "-",
    "-d",
    entry,
  ];
  await together(call, (own) => {
    const tool = startTool(own, "psql", args, { ...options, stdin: "pipe" });
    const feeding = async () => {
      await feedTool(tool, Buffer.from(`\\restrict ${key}\n`));
      for await (const chunk of unrestricted(own, file)) await feedTool(tool, chunk);
      await feedTool(tool, Buffer.from(`\n\\unrestrict ${key}\n`));
      tool.stdin.end();
    };
    return [feeding(), drain(tool)];
  });
}

/** The script without its own `\restrict` and `\unrestrict`. */
async function* unrestricted(call: Call, file: RestoreFile): AsyncGenerator<Buffer> {
  const handle = await open(file.local, "r");
  try {
    const { size } = await handle.stat();
    const head = (await handle.read(Buffer.alloc(EDGE_BYTES), 0, EDGE_BYTES, 0)).buffer.toString("latin1");
    const first = /^\\restrict (\S+)\n/m.exec(head);
    const tailAt = Math.max(0, size - EDGE_BYTES);
    const tail = (await handle.read(Buffer.alloc(EDGE_BYTES), 0, EDGE_BYTES, tailAt)).buffer.toString(
      "latin1",
    );
    const last = first ? tail.lastIndexOf(`\n\\unrestrict ${first[1]}\n`) : -1;
    // a file of one piece: head and tail are the same
    const from = first ? first.index + first[0].length : 0;
    const end = last < 0 ? size : tailAt + last + 1;
    if (from >= end) return;
    const options = { start: from, end: end - 1, highWaterMark: 1 << 18, signal: call.signal };
    yield* createReadStream(file.local, options);
  } finally {
    await handle.close();
  }
}

/**
 * Runs `work` and asks the server once a second how large the database is by then: for progress, and because a server that stands still lets
 * programs wait for ever.
 * @throws OpsError `unreachable` when the server does not answer within `limits.queryMs`
 */
export async function watched(
  call: Call,
  server: RestoreSession,
  database: string,
  label: string,
  work: (own: Call) => Promise<void>,
): Promise<void> {
  const done = new AbortController();
  await together(call, (own) => [
    work(own).finally(() => done.abort()),
    showProgress(own, server, database, label, done.signal),
  ]);
}

async function showProgress(
  call: Call,
  server: RestoreSession,
  database: string,
  label: string,
  done: AbortSignal,
): Promise<void> {
  const signal = AbortSignal.any([call.signal, done]);
  for (;;) {
    const isOver = await delay(SIGN_OF_LIFE_MS, false, { signal }).catch(() => true);
    if (isOver) return;
    const [row] = await server.query<{ size: number }>(
      call,
      "SELECT pg_database_size(oid) AS size FROM pg_database WHERE datname = $1",
      [database],
    );
    if (row) call.progress({ label, done: row.size, unit: "bytes" });
  }
}
