import type { Command } from "commander";
import type * as v from "valibot";
import type { Call } from "../call.ts";
import type { fixes } from "../contract/memory.ts";
import { usageError } from "../errors.ts";
import { pageOf, placeOf } from "../memory/cursor.ts";
import type { RecordView } from "../memory/model.ts";
import type { MemoryStore, Page, RecordFilter } from "../memory/port.ts";
import { printTable } from "../output/table.ts";
import { type Context, integer, type Run, STRICT, time } from "./command.ts";
import { defineRecordCommands } from "./fixes-record.ts";
import { defineTimelineCommand } from "./fixes-timeline.ts";
import { defineTransferCommands } from "./fixes-transfer.ts";
import { defineViewCommands } from "./fixes-views.ts";
import { AFTER, EVENT_COLUMNS, eventPlace, eventRow, FIX_COLUMNS, fixRow, noteNext } from "./rows.ts";

interface Options {
  limit: number;
  offset: number;
  after?: string;
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
    .option(...AFTER)
    .option("--since <time>", "seen since: an age such as 7d, or a time", time("--since"))
    .option("--success", "only what worked last")
    .option("--failed", "only what failed last")
    .option("--issue <text>", "only issues that contain this text, case ignored")
    .option("--events", "every event instead of one row a record")
    .option(...STRICT)
    .addHelpText(
      "after",
      "\nExamples:\n  opsctl fixes --since 7d --failed\n  opsctl fixes similar connection\n  opsctl fixes timeline connection-timeout",
    )
    .action(run<Options>(list));
  defineViewCommands(command, run);
  defineTimelineCommand(command, run);
  defineRecordCommands(command, run);
  defineTransferCommands(command, run);
}

async function list({ app, call }: Context, _args: string[], options: Options) {
  const { limit, offset } = options;
  const filter = filterOf(options);
  const read: ReadPage = options.events ? eventsPage : recordsPage;
  const after =
    options.after === undefined ? {} : { after: placeOf(options.events ? "events" : "fixes", options.after) };
  const { value, degraded } = await app
    .stores()
    .read(call, (store) => read(call, store, filter, { limit, offset, ...after }));
  const { rows, next } = value;
  const data: v.InferOutput<typeof fixes> = {
    fixes: rows,
    count: rows.length,
    limit,
    offset,
    next,
    degraded,
  };
  const columns = options.events ? EVENT_COLUMNS : FIX_COLUMNS;
  const render = async (io: Context["io"]) => {
    await printTable(io, columns as typeof FIX_COLUMNS, rows as ReturnType<typeof fixRow>[]);
    noteNext(io, next);
  };
  return { data, render, degraded };
}

type ReadPage = (
  call: Call,
  store: MemoryStore,
  filter: RecordFilter,
  page: Page,
) => Promise<{ rows: v.InferOutput<typeof fixes>["fixes"]; next: string | null }>;

/** One row more than the page holds says whether there is a next one. */
async function recordsPage(call: Call, store: MemoryStore, filter: RecordFilter, page: Page) {
  const records = await store.records(call, filter, { ...page, limit: page.limit + 1 });
  const place = (record: RecordView) => ({ at: record.lastSeen, id: record.lastEvent });
  const { rows, next } = pageOf(records, page.limit, "fixes", place);
  return { rows: rows.map(fixRow), next };
}

async function eventsPage(call: Call, store: MemoryStore, filter: RecordFilter, page: Page) {
  const events = await store.events(call, filter, { ...page, limit: page.limit + 1 });
  const { rows, next } = pageOf(events, page.limit, "events", eventPlace);
  return { rows: rows.map(eventRow), next };
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
