import type { Command } from "commander";
import { usageError } from "../errors.ts";
import type { RecordFilter } from "../memory/port.ts";
import type { Search } from "../memory/recall.ts";
import { type Context, integer, type Run, STRICT, textOrStdin, time } from "./command.ts";

export interface Options {
  limit: number;
  after?: string;
  since?: number;
  success?: boolean;
  agent?: string;
  best?: boolean;
  explain?: boolean;
  batch?: string;
  strict?: boolean;
}

/** Bytes of a query; more is no query but a file. */
const MAX_QUERY_BYTES = 16 * 1024 * 1024;

export function define(command: Command, run: Run): void {
  command
    .argument(
      "[query]",
      "an error message, a log, words, or a key (issue:connection matches keys that start so); - reads stdin",
    )
    .option("--limit <n>", "results", integer("--limit", 1, 1000), 10)
    .option("--after <cursor>", "go on where a list ended (its `next`)")
    .option("--since <time>", "seen since: an age such as 30d, or a time", time("--since"))
    .option("--success", "only what worked last")
    .option("--agent <name>", "only what this agent reported")
    .option("--best", "the one fix to try now; exit code 4 when nothing known is convincing")
    .option("--explain", "show what was searched, and what each score is made of")
    .option(
      "--batch <file>",
      'queries as NDJSON, one {"id","query"} a line; prints one {"id","results"} a line',
    )
    .option(...STRICT)
    .addHelpText(
      "after",
      `
A stack trace or a log is read as one: values (times, ids, addresses, paths) are left out, repeated lines are folded.

Examples:
  opsctl recall "connection reset by peer"
  tail -500 app.log | opsctl recall -
  opsctl recall issue:connection --success --limit 3
  tail -50 app.log | opsctl recall - --best`,
    )
    .action(
      run<Options>(async (context, [query], options) => {
        const { batch, best, after } = options;
        if (batch !== undefined && (query !== undefined || best || after !== undefined))
          throw usageError("--batch goes with neither QUERY, --best nor --after", "give it alone");
        if (best && after !== undefined)
          throw usageError("--best and --after are both given", "give one of them");
        if (batch !== undefined)
          return (await import("./recall-batch.ts")).answerAll(context, batch, options);
        const text = await queryText(context, query);
        if (best) return (await import("./recall-best.ts")).answerBest(context, text, options);
        return (await import("./recall-list.ts")).answerList(context, text, options);
      }),
    );
}

async function queryText({ call }: Context, given: string | undefined): Promise<string> {
  if (given === undefined)
    throw usageError("QUERY is missing", "opsctl recall TEXT, or pipe a text into opsctl recall -");
  const query = await textOrStdin(call, given, "QUERY", MAX_QUERY_BYTES, true);
  // a log that was quiet is no mistake
  if (query.trim() === "" && given !== "-")
    throw usageError("QUERY is empty", "give it an error message, words or a key");
  return query;
}

export function filterOf({ since, success, agent }: Options): RecordFilter {
  return {
    ...(since === undefined ? {} : { since }),
    ...(success ? { success } : {}),
    ...(agent === undefined ? {} : { agent }),
  };
}

/** An older index answers, but not with all that this opsctl can find. */
export function noteOutdated({ io }: Context, { outdated }: Search): void {
  for (const engine of outdated)
    io.note(
      `the full-text index of ${engine} is older than this opsctl: logs are found by their words only. Try: opsctl maintain ${engine} --yes`,
    );
}
