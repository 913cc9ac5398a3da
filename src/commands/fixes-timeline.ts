import type { Command } from "commander";
import type * as v from "valibot";
import type { Call } from "../call.ts";
import type { timeline } from "../contract/memory.ts";
import { OpsError } from "../errors.ts";
import { pageOf, placeOf } from "../memory/cursor.ts";
import type { MemoryStore, Page } from "../memory/port.ts";
import { nearestKeys, type Summary, timelineOf } from "../memory/timeline.ts";
import { escapeText } from "../output/escape.ts";
import { age, isoTime, sparkline } from "../output/human.ts";
import { printTable } from "../output/table.ts";
import { type Context, integer, type Run, STRICT } from "./command.ts";
import { AFTER, EVENT_COLUMNS, eventPlace, eventRow, noteNext, ratesOf, shownRate } from "./rows.ts";

type Data = v.InferOutput<typeof timeline>;

/** `fixes timeline ISSUE`. */
export function defineTimelineCommand(fixes: Command, run: Run): void {
  fixes
    .command("timeline")
    .description("every event of one issue, newest first: when, which fix, whether it worked, who")
    .argument("<issue>", "the whole issue, with or without issue:, case ignored")
    .option("--limit <n>", "events", integer("--limit", 1, 10_000), 20)
    .option(...AFTER)
    .option(...STRICT)
    .action(run<{ limit: number; after?: string }>(showTimeline));
}

async function showTimeline(
  { app, call }: Context,
  [issue]: string[],
  { limit, after }: { limit: number; after?: string },
) {
  const page = {
    limit: limit + 1,
    offset: 0,
    ...(after === undefined ? {} : { after: placeOf("timeline", after) }),
  };
  const { value, degraded } = await app.stores().read(call, (store) => look(call, store, issue!, page));
  if ("nearest" in value && degraded.length === 0) throw notFound(issue!, value.nearest);
  const found = "nearest" in value ? undefined : value;
  const { rows, next } = pageOf(found?.events ?? [], limit, "timeline", eventPlace);
  const data: Data = {
    key: found?.key ?? issue!.toLowerCase(),
    summary: found ? summaryOf(found.summary) : null,
    events: rows.map(eventRow),
    count: rows.length,
    next,
    degraded,
  };
  const render = async (io: Context["io"]) => {
    if (io.stdoutIsTty && data.summary) await io.out(`${summaryLine(io, data.key, data.summary)}\n\n`);
    await printTable(io, EVENT_COLUMNS, data.events);
    noteNext(io, next);
  };
  return { data, render, degraded };
}

async function look(call: Call, store: MemoryStore, issue: string, page: Page) {
  return (await timelineOf(call, store, issue, page)) ?? { nearest: await nearestKeys(call, store, issue) };
}

function summaryOf({ trend, firstSeen, lastSeen, fixes, ...counts }: Summary): NonNullable<Data["summary"]> {
  return {
    occurrence_count: counts.occurrences,
    successes: counts.successes,
    failures: counts.failures,
    ...ratesOf(counts),
    fixes,
    first_seen: isoTime(firstSeen),
    first_seen_ms: firstSeen,
    last_seen: isoTime(lastSeen),
    last_seen_ms: lastSeen,
    trend,
  };
}

function summaryLine(io: Context["io"], key: string, summary: NonNullable<Data["summary"]>): string {
  const ago = (ms: number) => `${age(Date.now() - ms)} ago`;
  const times = summary.occurrence_count === 1 ? "once" : `${summary.occurrence_count} times`;
  return [
    io.style("bold", escapeText(key)),
    `  seen ${times}, first ${ago(summary.first_seen_ms)}, last ${ago(summary.last_seen_ms)}`,
    `  ${sparkline(summary.trend)}  worked ${shownRate(summary)}`,
  ].join("");
}

function notFound(issue: string, nearest: readonly string[]): OpsError {
  return new OpsError({
    code: "not_found",
    message: `there is no issue "${issue}"`,
    hint:
      nearest.length === 0
        ? "opsctl fixes --json lists keys"
        : `opsctl fixes timeline ${nearest[0]}${nearest.length > 1 ? `; near it too: ${nearest.slice(1).join(", ")}` : ""}`,
  });
}
