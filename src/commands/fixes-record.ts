import type { Command } from "commander";
import type * as v from "valibot";
import type { forgotten, shownFix } from "../contract/memory.ts";
import { type Degraded, OpsError } from "../errors.ts";
import { pageOf, placeOf } from "../memory/cursor.ts";
import type { EventView, RecordView } from "../memory/model.ts";
import { escapeText } from "../output/escape.ts";
import { age, isoTime } from "../output/human.ts";
import { type Context, confirm, integer, type Run, STRICT } from "./command.ts";
import { AFTER, eventPlace, eventRow, fixRow, noteNext, outcomeWord } from "./rows.ts";
import { reportQueued } from "./writes.ts";

/** `fixes show` and `fixes forget`: one record. */
export function defineRecordCommands(fixes: Command, run: Run): void {
  fixes
    .command("show")
    .description("one record with its events")
    .argument("<id>", "id of the record")
    .option("--limit <n>", "events, newest first", integer("--limit", 1, 10_000), 20)
    .option(...AFTER)
    .option(...STRICT)
    .action(run<{ limit: number; after?: string }>(show));
  fixes
    .command("forget")
    .description("hide a record and its events everywhere; remembering it again brings it back")
    .argument("<id>", "id of the record")
    .option("--dry-run", "show what would be forgotten")
    .option("-y, --yes", "do not ask")
    .option(...STRICT)
    .action(run<{ dryRun?: boolean; yes?: boolean; strict?: boolean }>(forget));
}

async function show(
  { app, call }: Context,
  [id]: string[],
  { limit, after }: { limit: number; after?: string },
) {
  const place = after === undefined ? {} : { after: placeOf("show", after) };
  const { value, degraded } = await app.stores().read(call, async (store) => {
    const [record] = await store.byIds(call, [id!]);
    if (!record) return undefined;
    const page = { limit: limit + 1, offset: 0, ...place };
    return { record, events: await store.events(call, { record: record.id }, page) };
  });
  if (!value && degraded.length === 0) throw notFound(id!, degraded);
  const { rows: events, next } = pageOf(value?.events ?? [], limit, "show", eventPlace);
  const data: v.InferOutput<typeof shownFix> = {
    fix: value ? fixRow(value.record) : null,
    events: events.map(eventRow),
    next,
    degraded,
  };
  const render = async (io: Context["io"]) => {
    if (value) await renderRecord(io, { record: value.record, events });
    noteNext(io, next);
  };
  return { data, render, degraded };
}

async function renderRecord(
  io: Context["io"],
  { record, events }: { record: RecordView; events: EventView[] },
) {
  const lines = [
    io.style("bold", escapeText(record.key)),
    escapeText(record.content),
    ...(record.details === null ? [] : ["", escapeText(record.details)]),
    "",
    `${outcomeWord(record.success)} last, ${record.successes} worked and ${record.failures} failed of ${record.occurrences}`,
    `id ${record.id}`,
    ...events.map(eventLine),
  ];
  await io.out(`${lines.join("\n")}\n`);
}

function eventLine({ agent, server, at, success }: EventView): string {
  const who = [agent, server].filter((part) => part !== null).join(" on ");
  return `  ${isoTime(at)} (${age(Date.now() - at)} ago)  ${outcomeWord(success)}  ${escapeText(who)}`.trimEnd();
}

async function forget(
  context: Context,
  [id]: string[],
  { dryRun, yes, strict }: { dryRun?: boolean; yes?: boolean; strict?: boolean },
) {
  const { app, call } = context;
  const { value, degraded } = await app.stores().read(call, (store) => store.byIds(call, [id!]));
  const [record] = value;
  if (!record) throw notFound(id!, degraded);
  const what = `${record.key} (${record.occurrences} event${record.occurrences === 1 ? "" : "s"})`;
  const answer = (
    status: v.InferOutput<typeof forgotten>["status"],
    queued: (typeof degraded)[number]["engine"][],
  ) => {
    const data: v.InferOutput<typeof forgotten> = { id: record.id, key: record.key, status, queued };
    const text = dryRun ? `would forget ${what}` : `${status}: ${what}`;
    return { data, render: (io: Context["io"]) => io.out(`${escapeText(text)}\n`) };
  };
  if (dryRun) return answer("planned", []);
  await confirm(context, yes, `forgetting ${what}`);
  const written = await app.stores().write(call, [{ kind: "forget", recordId: record.id }]);
  const isQueued = written.queued.length > 0;
  return {
    ...answer(isQueued ? "queued" : "forgotten", written.queued),
    code: strict && isQueued ? ("partial" as const) : undefined,
    failure: reportQueued(context, written),
  };
}

/** While a store is missing nobody can say that a record does not exist. */
function notFound(id: string, degraded: readonly Degraded[]): OpsError {
  const [missing] = degraded;
  if (missing) {
    const { code, engine, message } = missing;
    return new OpsError({ code, engine, message: `the record ${id} cannot be looked up: ${message}` });
  }
  return new OpsError({
    code: "not_found",
    message: `there is no record with the id "${id}"`,
    hint: "opsctl fixes --json lists ids",
  });
}
