import type { Command } from "commander";
import type * as v from "valibot";
import type { fixes } from "../contract/memory.ts";
import { usageError } from "../errors.ts";
import type { RecordFilter } from "../memory/port.ts";
import { printTable } from "../output/table.ts";
import { type Context, integer, type Run, STRICT, time } from "./command.ts";
import { defineRecordCommands } from "./fixes-record.ts";
import { defineTransferCommands } from "./fixes-transfer.ts";
import { defineViewCommands } from "./fixes-views.ts";
import { EVENT_COLUMNS, eventRow, FIX_COLUMNS, fixRow } from "./rows.ts";

interface Options {
  limit: number;
  offset: number;
  since?: number;
  success?: boolean;
  failed?: boolean;
  issue?: string;
  events?: boolean;
}

export function define(command: Command, run: Run): void {
  command
    .option("--limit <n>", "rows", integer("--limit", 1, 10_000), 20)
    .option("--offset <n>", "rows to skip", integer("--offset", 0, 1_000_000_000), 0)
    .option("--since <time>", "seen since: an age such as 7d, or a time", time("--since"))
    .option("--success", "only what worked last")
    .option("--failed", "only what failed last")
    .option("--issue <text>", "only issues that contain this text, case ignored")
    .option("--events", "every event instead of one row a record")
    .option(...STRICT)
    .addHelpText(
      "after",
      "\nExamples:\n  opsctl fixes --since 7d --failed\n  opsctl fixes similar connection",
    )
    .action(run<Options>(list));
  defineViewCommands(command, run);
  defineRecordCommands(command, run);
  defineTransferCommands(command, run);
}

async function list({ app, call }: Context, _args: string[], options: Options) {
  const { limit, offset } = options;
  const page = { limit, offset };
  const filter = filterOf(options);
  const { value, degraded } = options.events
    ? await app.stores().read(call, async (store) => (await store.events(call, filter, page)).map(eventRow))
    : await app.stores().read(call, async (store) => (await store.records(call, filter, page)).map(fixRow));
  const data: v.InferOutput<typeof fixes> = { fixes: value, count: value.length, limit, offset, degraded };
  const columns = options.events ? EVENT_COLUMNS : FIX_COLUMNS;
  return {
    data,
    render: (io: Context["io"]) =>
      printTable(io, columns as typeof FIX_COLUMNS, value as ReturnType<typeof fixRow>[]),
    degraded,
  };
}

function filterOf({ since, success, failed, issue }: Options): RecordFilter {
  if (success && failed)
    throw usageError("--success and --failed are both given", "give one of them, or neither");
  return {
    ...(since === undefined ? {} : { since }),
    ...(success || failed ? { success: success === true } : {}),
    ...(issue === undefined ? {} : { issue: issue.toLowerCase() }),
  };
}
