import type { Call } from "../../call.ts";
import type { MigrationTarget, Statement } from "../../migrate/port.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import { type Info, readInfo } from "./info.ts";
import {
  checkCommands,
  configSettings,
  type Parsed,
  parsedStatement,
  parseStatement,
} from "./migration-check.ts";
import { previewConfigSet } from "./migration-config.ts";
import { clusterError, ensureHistory, readHistory } from "./migration-history.ts";
import { isIdempotent } from "./migration-idempotent.ts";
import { scanPages } from "./migration-keys.ts";
import { withLock } from "./migration-lock.ts";
import { Runner } from "./migration-run.ts";
import { countNamespaces } from "./migration-verify.ts";
import { commandLines, StatementProblem } from "./migration-words.ts";

/** Keys that the server looks at for one page of a count. */
const COUNT = 1_000;

/** Ordered files of plain commands, one a line, for one database of a server. */
export function redisMigrations(connection: RedisConnection): MigrationTarget {
  let runner: Runner | undefined;
  const atWork = () => {
    if (runner) return runner;
    throw new Error("migrations run inside exclusively() only");
  };
  return {
    engine: "redis",
    history: async (call) => (await readHistory(call, connection, connection.database)).rows,
    async prepare(call, _sets, dryRun) {
      if (await isCluster(call, connection)) throw clusterError(connection.at);
      if (!dryRun) await ensureHistory(call, connection, connection.database);
      return [];
    },
    unavailable: async (call) =>
      (await isCluster(call, connection)) ? clusterError(connection.at).message : null,
    occupants: async () => [],
    peerHistory: async () => null,
    check: (script) => checkCommands(script),
    statements: commandLines,
    repeatable,
    preview: (call, statement) => preview(call, connection, statement),
    exclusively: (call, waitMs, work) =>
      withLock(call, connection, waitMs, async (session) => {
        runner = new Runner(session, connection.database);
        try {
          return await work();
        } finally {
          runner = undefined;
        }
      }),
    run: (call, step) => atWork().run(call, step),
    record: (call, rows) => atWork().record(call, rows),
    verify: async (call, set) => (set === "namespaces" ? countNamespaces(call, connection) : {}),
  };
}

/** A statement that `check` would refuse never ran: nothing is known about what was edited since. */
function repeatable(statement: Statement): boolean {
  let parsed: Parsed;
  try {
    parsed = parseStatement(statement);
  } catch (error) {
    if (error instanceof StatementProblem) return false;
    throw error;
  }
  return "loop" in parsed || isIdempotent([parsed.name, ...parsed.args.map((arg) => arg.toString("latin1"))]);
}

/** How many keys a loop would reach; what a setting is now. */
async function preview(
  call: Call,
  connection: RedisConnection,
  statement: Statement,
): Promise<string | null> {
  const parsed = parsedStatement(statement);
  if ("loop" in parsed) {
    let keys = 0;
    for await (const page of scanPages(call, connection, parsed.loop, COUNT)) keys += page.length;
    return `would reach ${keys === 1 ? "1 key" : `${keys.toLocaleString("en")} keys`}`;
  }
  const settings = configSettings(parsed.name, parsed.args);
  return settings ? previewConfigSet(call, connection, settings) : null;
}

/** A user who may not ask is told by the first command that goes wrong. */
async function isCluster(call: Call, connection: RedisConnection): Promise<boolean> {
  const info = await readInfo(call, connection, "server").catch((error: unknown): Info => {
    if (error instanceof RedisRefusal) return {};
    throw error;
  });
  return info["redis_mode"] === "cluster";
}
