/** A dump on its way: pg_dump writes it once, and what it writes becomes the custom file and, through pg_restore, the plain one. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { FileWriter, PartOutput } from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import { type RunningTool, startTool } from "../../child.ts";
import { OpsError } from "../../errors.ts";
import { DumpReader } from "./backup-archive.ts";
import { explainDump } from "./backup-failure.ts";
import { ScriptReader } from "./backup-script.ts";
import type { PartSession } from "./backup-session.ts";
import { feedTool, outputOf, together } from "./backup-streams.ts";
import { TOOL_OPTIONS, toolOptions } from "./client-tools.ts";

/** How often the server is asked for a sign of life while pg_dump reads its catalogues and has nothing to write. */
const SIGN_OF_LIFE_MS = 1_000;
/**
 * Whether the session of a program is at work, or was a moment ago: one that waits for a client which reads and writes nothing is not. The view
 * is kept for a transaction unless it is cleared.
 */
const IS_AT_WORK = `SELECT 1 FROM pg_stat_activity WHERE application_name = $1
  AND (state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' OR clock_timestamp() - state_change < interval '2 seconds')`;
const MAX_WARNINGS = 5;

export interface CopyOrder {
  session: PartSession;
  /** As exported by the session. */
  snapshot: string;
  /** Path in the set, without ending. */
  path: string;
  /** Bytes of the database, for progress. */
  size: number;
}

/** `undefined`: the layout of the dump is not known, and pg_restore was not asked. */
export interface DumpCopy {
  tables: number | undefined;
  /** By `schema.table`. */
  rows: Record<string, number> | undefined;
  largeObjects: number;
  /** What pg_dump warned of. */
  warnings: string[];
}

/**
 * Writes the files that are wanted, from one dump.
 * @throws OpsError `failed` when a program fails, `locked` when it waited for a table in vain, `unreachable` when the server is gone,
 *   `integrity` when what they wrote is not whole
 */
export async function copyDump(call: Call, order: CopyOrder, out: PartOutput): Promise<DumpCopy> {
  const { path, session } = order;
  const custom = out.wants("postgres-custom") ? await out.file(`${path}.dump`, "postgres-custom") : undefined;
  const plain = out.wants("postgres-plain") ? await out.file(`${path}.sql`, "postgres-plain") : undefined;
  const dump = new DumpReader();
  const script = new ScriptReader("PostgreSQL database dump");
  let stderr = "";
  try {
    await together(call, (own) => {
      const restore = plain ? startRestore(own) : undefined;
      const heard = new AbortController();
      const name = `opsctl ${randomUUID()}`;
      const dumping = passDump(own, order, name, heard, async (chunk) => {
        dump.push(chunk);
        await Promise.all([custom?.write(chunk), restore && feedTool(restore, chunk)]);
      });
      const works = [showSignsOfLife(own, session, name, heard.signal)];
      works.push(
        dumping.then((said) => {
          stderr = said;
          restore?.stdin.end();
        }),
      );
      if (plain && restore) works.push(passScript(restore, script, plain));
      return works;
    });
  } catch (error) {
    throw await explainDump(call, session, error);
  }
  const content = dump.end();
  if (plain && content?.rows) requireSame(content.rows, script.rows);
  await Promise.all([custom?.end(), plain?.end()]);
  return {
    tables: content?.tables,
    rows: plain ? script.rows : content?.rows,
    largeObjects: content?.largeObjects ?? script.largeObjects,
    warnings: warningsIn(stderr),
  };
}

/** Turns a dump from stdin into a script. Without a database to connect to, it executes nothing: it only prints what is in the dump. */
export function startRestore(call: Call): RunningTool {
  return startTool(call, "pg_restore", ["--file=-"], { ...TOOL_OPTIONS, stdin: "pipe" });
}

async function passDump(
  call: Call,
  { session, snapshot, size }: CopyOrder,
  name: string,
  heard: AbortController,
  take: (chunk: Buffer) => Promise<void>,
): Promise<string> {
  const { connection } = session;
  const args = [
    "--format=custom",
    // packed once, with everything else
    "--compress=0",
    "--no-password",
    `--snapshot=${snapshot}`,
    // as long as any other statement; its unit is the millisecond
    `--lock-wait-timeout=${Math.ceil(connection.limits.queryMs)}`,
  ];
  const tool = startTool(
    call,
    "pg_dump",
    args,
    toolOptions({ ...connection.environment(), PGAPPNAME: name }),
  );
  let done = 0;
  try {
    for await (const chunk of outputOf(tool)) {
      if (done === 0) heard.abort();
      await take(chunk);
      done += chunk.length;
      call.progress({ label: connection.where.database, done, total: size, unit: "bytes" });
    }
    const { stderr } = await tool.done;
    return stderr;
  } finally {
    heard.abort();
  }
}

async function passScript(restore: RunningTool, script: ScriptReader, plain: FileWriter): Promise<void> {
  for await (const chunk of outputOf(restore)) {
    script.push(chunk);
    await plain.write(chunk);
  }
  await restore.done;
  script.end();
}

/** A server that reads its catalogues, or waits for a lock, is no dead server; a pg_dump that asks it nothing any more is. */
async function showSignsOfLife(
  call: Call,
  session: PartSession,
  name: string,
  heard: AbortSignal,
): Promise<void> {
  const label = session.connection.where.database;
  const signal = AbortSignal.any([call.signal, heard]);
  try {
    for (;;) {
      await delay(SIGN_OF_LIFE_MS, undefined, { signal });
      await session.query(call, "SELECT pg_stat_clear_snapshot()");
      const [row] = await session.query(call, IS_AT_WORK, [name]);
      if (row) call.progress({ label, done: 0, unit: "bytes" });
    }
  } catch {
    // heard, or ended; a server that does not answer is left to pg_dump and to who watches
  }
}

/** The custom file and the plain one were counted each on its own. */
function requireSame(dumped: Record<string, number>, restored: Record<string, number>): void {
  for (const table of new Set([...Object.keys(dumped), ...Object.keys(restored)])) {
    if (dumped[table] === restored[table]) continue;
    throw new OpsError({
      code: "integrity",
      engine: "postgres",
      message: `pg_dump wrote ${dumped[table] ?? "no"} rows of ${table}, and pg_restore ${restored[table] ?? "no"}`,
    });
  }
}

function warningsIn(stderr: string): string[] {
  return stderr
    .split("\n")
    .filter((line) => line.startsWith("pg_dump: warning: "))
    .slice(0, MAX_WARNINGS);
}
