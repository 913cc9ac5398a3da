import type { Command } from "commander";
import type * as v from "valibot";
import type { recalled } from "../contract/memory.ts";
import { type EngineName, OpsError, usageError } from "../errors.ts";
import { issueOf } from "../memory/model.ts";
import type { RecordFilter } from "../memory/port.ts";
import { type RecallResult, recall } from "../memory/recall.ts";
import { age, isoTime, outcome } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, integer, type Run, STRICT, textOrStdin, time } from "./command.ts";
import { readLines } from "./lines.ts";
import { outcomeWord } from "./rows.ts";

interface Options {
  limit: number;
  since?: number;
  success?: boolean;
  agent?: string;
  batch?: string;
  strict?: boolean;
}

type Recalled = v.InferOutput<typeof recalled>;
type Row = Recalled["results"][number];

/** Bytes of a query; more is no query but a file. */
const MAX_QUERY_BYTES = 16 * 1024 * 1024;

const COLUMNS: readonly Column<Row>[] = [
  {
    header: "key",
    flexible: true,
    value: (row) => row.key,
    style: (row) => (row.match === "text" ? undefined : "cyan"),
  },
  { header: "what was done", flexible: true, value: (row) => row.content },
  {
    header: "outcome",
    value: (row) => outcomeWord(row.success),
    shown: (row) => `${outcome(row.success)} ${outcomeWord(row.success)}`,
    style: (row) => (row.success === null ? "dim" : row.success ? "green" : "red"),
  },
  { header: "seen", value: (row) => row.occurrences, align: "right" },
  {
    header: "last",
    value: (row) => row.last_seen,
    shown: (row) => `${age(Date.now() - row.last_seen_ms)} ago`,
  },
  { header: "score", value: (row) => row.score, align: "right" },
  { header: "id", value: (row) => row.id },
];

export function define(command: Command, run: Run): void {
  command
    .argument(
      "[query]",
      "an error message, words, or a key (issue:connection matches keys that start so); - reads stdin",
    )
    .option("--limit <n>", "results", integer("--limit", 1, 1000), 10)
    .option("--since <time>", "seen since: an age such as 30d, or a time", time("--since"))
    .option("--success", "only what worked last")
    .option("--agent <name>", "only what this agent reported")
    .option(
      "--batch <file>",
      'queries as NDJSON, one {"id","query"} a line; prints one {"id","results"} a line',
    )
    .option(...STRICT)
    .addHelpText(
      "after",
      `
Examples:
  opsctl recall "connection reset by peer"
  tail -50 app.log | opsctl recall -
  opsctl recall issue:connection --success --limit 3`,
    )
    .action(
      run<Options>((context, [query], options) => {
        if (options.batch === undefined) return one(context, query, options);
        if (query !== undefined) throw usageError("QUERY and --batch are both given", "give one of them");
        return batch(context, options.batch, options);
      }),
    );
}

async function one(context: Context, given: string | undefined, options: Options) {
  const { app, call } = context;
  if (given === undefined)
    throw usageError("QUERY is missing", "opsctl recall TEXT, or pipe a text into opsctl recall -");
  const query = await textOrStdin(call, given, "QUERY", MAX_QUERY_BYTES, true);
  // a log that was quiet is no mistake
  if (query.trim() === "" && given !== "-")
    throw usageError("QUERY is empty", "give it an error message, words or a key");
  const { results, degraded } = await recall(call, app.stores(), {
    text: query,
    limit: options.limit,
    filter: filterOf(options),
  });
  const rows = results.map(resultRow);
  const data: Recalled = { query, results: rows, count: rows.length, degraded };
  return {
    data,
    async render(io: Context["io"]) {
      await printTable(io, COLUMNS, rows);
      if (rows.length === 0 && degraded.length === 0)
        io.note("nothing known; store what helps with: opsctl remember");
    },
    degraded,
  };
}

/** Streams: one answer a line, in the order of the questions; a line that cannot be read ends it with its number. */
async function batch(context: Context, file: string, options: Options): Promise<undefined> {
  const { app, call, io } = context;
  const missing = new Map<EngineName, string>();
  let number = 0;
  for await (const line of readLines(call, file, "--batch")) {
    number += 1;
    if (typeof line !== "string") throw usageError(`--batch: line ${number} is ${line.defect}`);
    if (line.trim() === "") continue;
    const { id, query } = parseQuestion(line, number);
    const { results, degraded } = await recall(call, app.stores(), {
      text: query,
      limit: options.limit,
      filter: filterOf(options),
    });
    await io.out(`${JSON.stringify({ id, results: results.map(resultRow), degraded })}\n`);
    for (const { engine, message } of degraded) {
      if (!missing.has(engine)) io.note(`${engine} is missing here: ${message}`, "warning:");
      missing.set(engine, message);
    }
  }
  if (missing.size > 0 && options.strict) {
    throw new OpsError({ code: "partial", message: `${[...missing.keys()].join(" and ")} could not answer` });
  }
}

function parseQuestion(line: string, number: number): { id: unknown; query: string } {
  let question: { id?: unknown; query?: unknown };
  try {
    question = JSON.parse(line);
  } catch {
    throw usageError(`--batch: line ${number} is not valid JSON`);
  }
  if (typeof question?.query !== "string") throw usageError(`--batch: line ${number} has no text "query"`);
  return { id: question.id ?? number, query: question.query };
}

function filterOf({ since, success, agent }: Options): RecordFilter {
  return {
    ...(since === undefined ? {} : { since }),
    ...(success ? { success } : {}),
    ...(agent === undefined ? {} : { agent }),
  };
}

function resultRow({ record, score, match }: RecallResult): Row {
  return {
    id: record.id,
    key: record.key,
    issue: issueOf(record.key),
    content: record.content,
    details: record.details,
    success: record.success,
    score,
    match,
    occurrences: record.occurrences,
    successes: record.successes,
    failures: record.failures,
    last_seen: isoTime(record.lastSeen),
    last_seen_ms: record.lastSeen,
    agent: record.agent,
    server: record.server,
  };
}
