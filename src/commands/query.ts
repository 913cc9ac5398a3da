import type { Command } from "commander";
import type * as v from "valibot";
import type { queried } from "../contract/doctor.ts";
import { usageError } from "../errors.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, integer, type Run, textOrStdin } from "./command.ts";
import { oneEngine } from "./engines.ts";

type Queried = v.InferOutput<typeof queried>;

interface Options {
  write?: boolean;
  explain?: boolean;
  limit: number;
}

const MAX_TEXT_BYTES = 1024 * 1024;
const LIMIT = 1000;

export function define(command: Command, run: Run): void {
  command
    .argument("<engine>", "neo4j, postgres, redis or sqlite")
    .argument("<statement>", "one statement in the engine's own language, or - to read it from stdin")
    .option("--write", "let it change something; without it the server itself refuses")
    .option("--explain", "print the plan; the statement does not run")
    .option("--limit <n>", "rows to print", integer("--limit", 1, 1_000_000), LIMIT)
    .addHelpText(
      "after",
      `
In a pipe the first line is not a header: with --json the names are in "columns". A write runs outside of a transaction of
opsctl, so VACUUM and CREATE INDEX CONCURRENTLY work. --timeout ends a statement that takes too long; OPSCTL_QUERY_TIMEOUT one that
only reads (in Neo4j and Redis any).

Without --write PostgreSQL runs a statement in a read-only transaction that is never committed. Functions of the server and its modules
that act at once all the same (pg_terminate_backend, pg_drop_replication_slot, dblink …), DO and CALL are refused by their names. A function
or view of your own that calls one of them is not: for what you do not know use a role without rights.

Examples:
  opsctl query postgres "SELECT count(*) FROM memori_metadata"
  opsctl query neo4j "MATCH (f:Fix) RETURN f.issue, count(*) AS n ORDER BY n DESC" --limit 5
  opsctl query redis "HGETALL session:42"
  opsctl query sqlite "SELECT * FROM memori_agents" --json | jq '.rows[0]'
  opsctl query postgres "REINDEX INDEX CONCURRENTLY orders_at" --write`,
    )
    .action(run<Options>(query));
}

async function query({ app, call }: Context, [name = "", given = ""]: string[], options: Options) {
  const engine = oneEngine(app, name);
  const target = app.targets[engine]!;
  const text = await textOrStdin(call, given, "the statement", MAX_TEXT_BYTES);
  if (text.trim() === "") throw usageError("the statement is empty", "write one, or - to read it from stdin");
  if (options.write && options.explain) {
    throw usageError("--explain runs nothing, so --write has no meaning beside it", "leave one of them out");
  }
  const startedAt = performance.now();
  const { columns, rows, truncated, changed } = await (await app.query(target)).query(call, text, {
    write: options.write === true,
    explain: options.explain === true,
    limit: options.limit,
  });
  const data: Queried = {
    engine,
    target: target.shown,
    columns,
    rows,
    count: rows.length,
    truncated,
    changed,
    duration_ms: performance.now() - startedAt,
  };
  return { data, render: (io: Io) => render(io, data, options.limit) };
}

async function render(io: Io, { columns, rows, truncated, changed }: Queried, limit: number): Promise<void> {
  const shown: Column<unknown[]>[] = columns.map((header, at) => ({
    header,
    value: (row) => textOf(row[at]),
    align: rows.every((row) => typeof row[at] === "number") ? "right" : undefined,
    flexible: true,
  }));
  await printTable(io, shown, rows);
  if (truncated) io.note(`there are more rows; these are the first ${limit}: raise --limit`);
  if (changed !== null) io.note(`${changed} changed`);
  else if (rows.length === 0) io.note(columns.length === 0 ? "done" : "no rows");
}

/** A cell: structures as JSON on one line. */
function textOf(value: unknown): string | number | boolean | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return JSON.stringify(value);
}
