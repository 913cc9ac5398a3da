import type { Call } from "../../call.ts";
import { OpsError, usageError } from "../../errors.ts";
import { placeAt } from "../../migrate/excerpt.ts";
import type { QueryOptions, QueryResult, QueryTarget } from "../../query/port.ts";
import type { Origin } from "../engine.ts";
import { actingFunction } from "./acting-functions.ts";
import type { PostgresConnection } from "./connect.ts";
import { NoAnswer, sqlState } from "./errors.ts";
import { scriptError } from "./migration-errors.ts";
import { type Answer, type Reached, sendAlone, type Way } from "./query-client.ts";
import { jsonOf } from "./query-values.ts";
import { scanSql } from "./split.ts";
import { tokensOf, transactionControl } from "./statement-kind.ts";

/** In parentheses: behind a bare EXPLAIN the word ANALYZE of the text would run it. */
const EXPLAIN = "EXPLAIN (COSTS) ";
/** What EXPLAIN takes (https://www.postgresql.org/docs/current/sql-explain.html). */
const PLANNED: ReadonlySet<string> = new Set(
  "select insert update delete merge values table with execute declare create refresh (".split(" "),
);
const WORKS = "works on the server's data or files";
const UNSEEN = "runs code, and nothing of it can be seen here";
/** A read-only transaction lets these pass, although they do this. */
const HELD_BACK: ReadonlyMap<string, string> = new Map([
  ...["vacuum", "analyze", "reindex", "cluster", "checkpoint", "copy", "load"].map(
    (word) => [word, WORKS] as const,
  ),
  ["do", UNSEEN],
  ["call", UNSEEN],
  ["lock", "makes other sessions wait"],
]);
/** Refused inside of a read-only transaction (25006), or of any (25001). */
const NEEDS_WRITE: ReadonlySet<string | undefined> = new Set(["25006", "25001"]);
const ADD_WRITE = "add --write if it is meant to change something";

/**
 * Reads run in a transaction that the server keeps read-only and that is never committed, and stop at the limit. With `--write` a statement
 * commits by itself and runs to its end. The call's deadline ends both; without one a read may take OPSCTL_QUERY_TIMEOUT.
 *
 * A transaction does not hold back functions that act on the server at once (pg_terminate_backend, dblink): those of the server and its
 * modules are refused in a read by their names, as DO and CALL are. What is not held back: a function or view of the database's own users that
 * calls such a function, or acts outside of transactions itself.
 */
export function postgresQuery(way: Way): QueryTarget {
  return {
    async query(call, text, options) {
      refuse(text, options);
      const answer = await run(call, way, text, options);
      const columns = answer.columns.map(({ name }) => name);
      const rows = answer.rows
        .slice(0, options.limit)
        .map((row) => row.map((value, at) => jsonOf(value, answer.columns[at]!.type)));
      const truncated = answer.rows.length > options.limit;
      return { columns, rows, truncated, changed: changedBy(answer, options) } satisfies QueryResult;
    },
  };
}

/** @throws OpsError `usage` for what is not one statement, or needs another way */
function refuse(text: string, { write, explain }: QueryOptions): void {
  const pieces = scanSql(text);
  const problem = pieces.flatMap(({ problems }) => problems)[0];
  if (problem) {
    const { line, column } = placeAt(text, problem.offset);
    throw usageError(`${line}:${column}: ${problem.what}`, problem.hint);
  }
  const [piece, ...more] = pieces;
  if (piece === undefined)
    throw usageError("there is no statement", "for example: opsctl query postgres 'SELECT 1'");
  if (more.length > 0) {
    throw usageError(
      `these are ${pieces.length} statements`,
      "send one at a time, or use opsctl shell postgres",
    );
  }
  if (piece.copy || piece.copiesOut) {
    throw usageError(
      "COPY from STDIN and to STDOUT needs a client that streams",
      "use opsctl shell postgres, and \\copy",
    );
  }
  const control = transactionControl(text);
  // what ends a prepared transaction must stand outside of one
  const isPrepared = control?.endsWith(" PREPARED") === true;
  if (control !== null && !(isPrepared && write)) {
    throw usageError(
      `${control}: a statement runs by itself, there is no transaction to control`,
      "use opsctl shell postgres for several statements in one transaction",
    );
  }
  const [first = ""] = tokensOf(piece.text, 1);
  if (explain && !PLANNED.has(first)) {
    throw usageError(
      `${first.toUpperCase()} has no plan`,
      first === "explain"
        ? "leave EXPLAIN out, or --explain"
        : "--explain takes SELECT, INSERT, UPDATE, DELETE and MERGE",
    );
  }
  if (!write && !explain) refuseActing(text, first);
}

/** @throws OpsError `usage` for what works although its transaction is read-only */
function refuseActing(text: string, first: string): void {
  const why = HELD_BACK.get(first);
  if (why !== undefined) throw usageError(`${first.toUpperCase()} ${why}`, ADD_WRITE);
  const acting = actingFunction(text);
  if (acting !== null) {
    throw usageError(`${acting}() acts on the server, and no transaction takes it back`, ADD_WRITE);
  }
}

async function run(
  call: Call,
  way: Way,
  text: string,
  { write, explain, limit }: QueryOptions,
): Promise<Answer> {
  const isRead = explain || !write;
  const limitMs = limitOf(call, way.origin, isRead);
  const prefix = explain ? EXPLAIN : "";
  const reached: Reached = { phase: "connect" };
  try {
    return await sendAlone(call, way, {
      before: isRead ? readOnly(limitMs!) : "",
      send: { text: prefix + text, limit, stops: isRead },
      // a write has the call's signal alone
      ...(isRead ? { limitMs: limitMs! } : {}),
      reached,
    });
  } catch (error) {
    throw explained(way.connection, error, { text, prefix, isRead, reached });
  }
}

function limitOf(call: Call, { limits }: Origin, isRead: boolean): number | undefined {
  const remaining = call.remainingMs();
  if (Number.isFinite(remaining)) return remaining;
  return isRead ? limits.queryMs : undefined;
}

/** The server gives up first, so that its reason arrives. After a first query nothing can make the transaction writable again. */
function readOnly(limitMs: number): string {
  const serverMs = Math.max(1, Math.floor(limitMs - Math.min(250, limitMs / 10)));
  return `BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = ${serverMs}; SET LOCAL bytea_output = 'hex'; SET LOCAL datestyle = 'ISO'; SELECT 1`;
}

const CHANGING = /^(?:INSERT \d+|UPDATE|DELETE|MERGE|COPY|MOVE) (\d+)$/;

/** CREATE TABLE AS says `SELECT 5`, and returns no rows. */
function changedBy({ tag, columns }: Answer, { write, explain }: QueryOptions): number | null {
  if (!write || explain || tag === null) return null;
  const rows = CHANGING.exec(tag) ?? (columns.length === 0 ? /^SELECT (\d+)$/.exec(tag) : null);
  return rows ? Number(rows[1]) : null;
}

interface Attempt {
  text: string;
  prefix: string;
  isRead: boolean;
  reached: Reached;
}

function explained(
  connection: PostgresConnection,
  error: unknown,
  { text, prefix, isRead, reached }: Attempt,
): OpsError {
  if (error instanceof OpsError) return error;
  const state = sqlState(error);
  const known = connection.explain(error, reached.phase === "connect" ? "connect" : "query");
  if (reached.phase !== "sent") return known;
  if (state === "57014" || (error instanceof NoAnswer && isRead)) {
    return failed(`PostgreSQL at ${connection.where.address} took longer than the statement may take`);
  }
  if (isRead && NEEDS_WRITE.has(state)) {
    return usageError(`PostgreSQL refused it without --write: ${(error as Error).message}`, ADD_WRITE);
  }
  // a write on a standby; a server without disk, memory or connections
  if (state !== undefined && /^(?:25006|53...)$/.test(state)) return known;
  if (state !== undefined && known.code !== "unreachable") {
    const sent = { statementAt: null, base: 0, prefix: prefix.length };
    const placed = scriptError(
      connection,
      { file: "query", text, checksum: "", inTransaction: isRead },
      sent,
      error,
      "",
    );
    return rebuilt(placed, holdsPassword(text));
  }
  return isRead || known.code !== "unreachable" ? known : lost(connection);
}

function failed(message: string): OpsError {
  return new OpsError({
    code: "failed",
    engine: "postgres",
    message,
    hint: "raise --timeout, for example --timeout 5m",
  });
}

function lost({ where }: PostgresConnection): OpsError {
  return new OpsError({
    code: "unknown_outcome",
    engine: "postgres",
    message: `PostgreSQL at ${where.address} was lost while it ran the statement: it may or may not have taken effect`,
    hint: "look at what it would have changed before you repeat it",
  });
}

/** What makes roles, user mappings and subscriptions holds passwords, misspelt or not: such a text is shown nowhere. */
function holdsPassword(text: string): boolean {
  const [verb = "", kind = ""] = tokensOf(text, 2);
  const kinds = ["role", "user", "group", "subscription", "server"];
  return /password/i.test(text) || (["create", "alter"].includes(verb) && kinds.includes(kind));
}

function rebuilt({ code, message, hint, engine }: OpsError, hidesTexts: boolean): OpsError {
  return new OpsError({
    code,
    message: hidesTexts ? message.split("\n")[0]!.replaceAll(/'[^']*'?/g, "'…'") : message,
    ...(hint ? { hint } : {}),
    ...(engine ? { engine } : {}),
  });
}
