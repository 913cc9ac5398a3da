import type { Driver, ResultSummary, Session } from "neo4j-driver";
import { bounded, NoAnswer } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { QueryOptions, QueryResult, QueryTarget } from "../../query/port.ts";
import type { Origin } from "../engine.ts";
import { failure, isConnectionLoss, isDriverError, neo4jError, type Place } from "./errors.ts";
import { greet } from "./greet.ts";
import { placeOf } from "./pool.ts";
import { checkedStatement, needsWrite } from "./query-guard.ts";
import { PLAN_COLUMNS, planRows } from "./query-plan.ts";
import { plainValue } from "./query-values.ts";

/** Rows that are asked for at once, at most. */
const FETCH_SIZE = 500;
const CLOSE_MS = 1_000;
/** Of what the server says, characters. */
const SAID_CHARS = 500;
const EXPLAIN = "EXPLAIN ";

type Result = ReturnType<Session["run"]>;
type Summary = ResultSummary<bigint>;

/**
 * Statements through a driver of their own, which keeps 64-bit integers. Not repeated after anything: a statement of an operator need not be
 * idempotent. Without `write` it runs in read access mode, in which the server refuses what writes (50N42); what it does not refuse,
 * procedures that act on the server, is refused here.
 */
export function neo4jQuery(origin: Origin): QueryTarget {
  return {
    async query(call, text, options) {
      const { target, limits } = origin;
      const place = placeOf(target);
      const statement = checkedStatement(text, options);
      await greet(place, limits.connectMs, call.signal);
      let driver: Driver | undefined;
      try {
        driver = await driverOf(origin);
        return await ran(call, driver, statement, options, origin);
      } catch (error) {
        throw explained(error, place, options);
      } finally {
        if (driver) await bounded(driver.close(), CLOSE_MS).catch(() => {});
      }
    },
  };
}

async function driverOf({ target, limits }: Origin): Promise<Driver> {
  const { auth, driver } = (await import("neo4j-driver")).default;
  const { url, username = "neo4j", password } = target;
  return driver(url, password === undefined ? undefined : auth.basic(username, password), {
    connectionTimeout: limits.connectMs,
    connectionAcquisitionTimeout: limits.connectMs + limits.queryMs,
    maxConnectionPoolSize: 1,
    useBigInt: true,
    telemetryDisabled: true,
    userAgent: "opsctl",
  });
}

async function ran(
  call: Call,
  driver: Driver,
  statement: string,
  { write, explain, limit }: QueryOptions,
  { target, limits }: Origin,
): Promise<QueryResult> {
  const session = driver.session({
    database: target.database,
    defaultAccessMode: write && !explain ? "WRITE" : "READ",
    fetchSize: Math.min(limit + 1, FETCH_SIZE),
  });
  const endAt = performance.now() + limits.queryMs;
  // a little less than we wait, so that a slow statement is ended and named by the server
  const result = session.run(
    explain ? EXPLAIN + statement : statement,
    {},
    { timeout: limits.queryMs * 0.95 },
  );
  const inTime = <T>(answer: Promise<T>) =>
    bounded(answer, Math.max(1, endAt - performance.now()), call.signal);
  const columns = await inTime(result.keys() as Promise<string[]>);
  const taken = write ? await inTime(drained(result, limit)) : await first(result, limit, inTime);
  const { rows, summary } = taken;
  if (summary?.plan && !summary.profile && rows.length === 0) {
    const plan = planRows(summary.plan);
    return {
      columns: [...PLAN_COLUMNS],
      rows: plan.slice(0, limit),
      truncated: plan.length > limit,
      changed: null,
    };
  }
  const { plain } = await plainValue();
  return {
    columns,
    rows: rows.slice(0, limit).map((row) => row.map(plain)),
    truncated: taken.seen > limit,
    changed: write && summary ? changesOf(summary) : null,
  };
}

interface Taken {
  rows: unknown[][];
  seen: number;
  /** Undefined: the rest of a read was left where it is. */
  summary: Summary | undefined;
}

/** One row more than the limit, and no more: the server is told to stop. */
async function first(
  result: Result,
  limit: number,
  inTime: <T>(answer: Promise<T>) => Promise<T>,
): Promise<Taken> {
  const rows: unknown[][] = [];
  const records = result[Symbol.asyncIterator]();
  for (;;) {
    const next = await inTime(records.next());
    if (next.done) return { rows, seen: rows.length, summary: next.value as unknown as Summary };
    rows.push([...(next.value as Iterable<unknown>)]);
    if (rows.length > limit) break;
  }
  await inTime(Promise.resolve(records.return?.()));
  return { rows, seen: rows.length, summary: undefined };
}

/** To its end, whatever is shown: what a write does, it does while its rows are read. */
function drained(result: Result, limit: number): Promise<Taken> {
  const rows: unknown[][] = [];
  let seen = 0;
  return new Promise((resolve, reject) => {
    result.subscribe({
      onNext: (record) => {
        seen += 1;
        if (rows.length < limit) rows.push([...(record as Iterable<unknown>)]);
      },
      onCompleted: (summary) => resolve({ rows, seen, summary: summary as unknown as Summary }),
      onError: reject,
    });
  });
}

/** Nodes, relationships, labels, properties, indexes, constraints and users that it made, changed or took away. */
function changesOf({ counters }: Summary): number {
  const counts = Object.values(counters.updates() as Record<string, number | bigint>);
  return counts.reduce<number>((sum, count) => sum + Number(count), Number(counters.systemUpdates()));
}

/** In the server's own words: it is the operator's own statement that they may quote. */
function explained(error: unknown, place: Place, { write, explain }: QueryOptions): OpsError {
  if (error instanceof OpsError) return error;
  if (write && !explain && (isConnectionLoss(error) || error instanceof NoAnswer)) {
    const what = "gave no answer: the statement may or may not have been carried out";
    return failure("unknown_outcome", place, what, "look before you run it again", error);
  }
  if (!isDriverError(error)) return neo4jError(error, { place, outcomeUnknown: false });
  if (/\.Statement\.AccessMode$/.test(error.code)) return needsWrite("the statement changes something");
  if (!/^Neo\.(Client|Database)Error\.(Statement|Schema|Procedure)\./.test(error.code)) {
    return neo4jError(error, { place, outcomeUnknown: false });
  }
  const said = placed(error.message, explain).replaceAll(/\s+/g, " ").trim().slice(0, SAID_CHARS);
  return failure("failed", place, `refused the statement: ${said} (${error.code})`, undefined, error);
}

/** The first line says line and column; those of an explained statement count our own word before it. */
function placed(message: string, explain: boolean): string {
  const first = message.split("\n")[0]!;
  if (!explain) return first;
  return first
    .replace(/line 1, column (\d+)/, (_, column) => `line 1, column ${Number(column) - EXPLAIN.length}`)
    .replace(/offset: (\d+)/, (_, offset) => `offset: ${Number(offset) - EXPLAIN.length}`);
}
