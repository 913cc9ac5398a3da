/** One statement on an open file, and what it gives in values that JSON can hold. It may block for as long as it likes: it has a process of its own. */
import type Database from "better-sqlite3";
import { OpsError, usageError } from "../../errors.ts";
import type { QueryOptions, QueryResult } from "../../query/port.ts";
import { fileError, messageOf } from "./errors.ts";
import { firstWords } from "./split.ts";
import { significantTokens } from "./tokens.ts";

export interface StatementRequest {
  path: string;
  text: string;
  options: QueryOptions;
  /** How long it waits for the locks of others, ms. */
  waitMs: number;
}

/** On a connection that ends with its statement these do nothing, or leave a file behind. */
const POINTLESS = ["ATTACH", "DETACH", "BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"];
/**
 * SQLite does not call these read-only, and they are: what explains another statement does not run it, and a pragma without a value that
 * asks only. (Some pragmas work while they are compiled, so they are not explained.)
 */
const READING = /^(?:EXPLAIN (?!(?:QUERY PLAN )?PRAGMA )|PRAGMA (?:\w+ \. )?JOURNAL_MODE$)/;

/** @throws OpsError `usage` for what may not run; the driver's error for what fails */
export function runStatement(
  database: Database.Database,
  { text, options, waitMs }: StatementRequest,
): QueryResult {
  database.pragma(`busy_timeout = ${Math.round(waitMs)}`);
  // the file itself refuses; of `readonly` below SQLite says only that it means to change nothing
  if (!options.write || options.explain) database.pragma("query_only = ON");
  const [word = ""] = firstWords(text, 1);
  if (POINTLESS.includes(word)) {
    throw usageError(
      `${word}: one statement runs by itself, on a connection that ends with it`,
      "run several statements in opsctl shell sqlite",
    );
  }
  const statement = prepared(database, options.explain ? `EXPLAIN QUERY PLAN ${text}` : text);
  const isReading = statement.readonly || READING.test(spaced(text));
  if (!options.explain && !options.write && !isReading) {
    throw usageError("this statement changes something, or may", "repeat it with --write if that is meant");
  }
  if (options.explain) return planOf(statement);
  const result = statement.reader ? readRows(statement, options) : changeOnly(statement);
  if (isReading) return result;
  const changed = database.prepare<[], number>("SELECT changes()").pluck().get()!;
  return { ...result, changed };
}

/** Its tokens in upper case with one space between them; the end of the statement is none. */
function spaced(text: string): string {
  return [...significantTokens(text)]
    .flatMap(({ kind, start, end }) => (kind === "semicolon" ? [] : [text.slice(start, end).toUpperCase()]))
    .join(" ");
}

function prepared(database: Database.Database, text: string): Database.Statement<unknown[]> {
  try {
    return database.prepare(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw / no statements|empty/i.test(error.message)
      ? usageError("there is no statement in the text", 'give one: "SELECT 1"')
      : usageError("the text holds more than one statement", "run them one after another");
  }
}

/** Without the column that SQLite says is not used. */
function planOf(statement: Database.Statement<unknown[]>): QueryResult {
  const steps = statement.all() as { id: number; parent: number; detail: string }[];
  const rows = steps.map(({ id, parent, detail }) => [id, parent, detail]);
  return { columns: ["id", "parent", "detail"], rows, truncated: false, changed: null };
}

function changeOnly(statement: Database.Statement<unknown[]>): QueryResult {
  statement.run();
  return { columns: [], rows: [], truncated: false, changed: null };
}

function readRows(statement: Database.Statement<unknown[]>, { limit, write }: QueryOptions): QueryResult {
  const columns = statement.columns().map(({ name }) => name);
  const rows: unknown[][] = [];
  let truncated = false;
  for (const row of statement.raw().safeIntegers().iterate() as Iterable<unknown[]>) {
    if (rows.length === limit) {
      truncated = true;
      // a statement that writes is run to its end
      if (!write) break;
    } else rows.push(row.map(shown));
  }
  return { columns, rows, truncated, changed: null };
}

/** A value as JSON can hold it, and nothing lost. */
function shown(value: unknown): unknown {
  if (typeof value === "bigint") {
    return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  }
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  return Buffer.isBuffer(value) ? `\\x${value.toString("hex")}` : value;
}

/** What went wrong: SQLite's own words, which name no values of rows. */
export function refusal(error: unknown, path: string): OpsError {
  if (error instanceof OpsError) return error;
  const ofFile = fileError(error, path);
  if (ofFile) return ofFile;
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `SQLite refused the statement: ${messageOf(error)}`,
    hint: "compare it with the schema: SELECT sql FROM sqlite_schema",
    cause: error,
  });
}
