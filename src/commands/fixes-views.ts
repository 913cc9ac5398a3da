import type { Command } from "commander";
import type * as v from "valibot";
import type { patterns as patternList, similarIssues, successRate } from "../contract/memory.ts";
import { cursorOf, pageOf, placeOf } from "../memory/cursor.ts";
import { type Pattern, patterns } from "../memory/patterns.ts";
import { isoTime, percent, sparkline } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, integer, type Run, STRICT, time } from "./command.ts";
import { AFTER, ISSUE_COLUMNS, issueRow, noteNext, ratesOf } from "./rows.ts";

type PatternRow = v.InferOutput<typeof patternList>["patterns"][number];

/**
 * Columns of `fixes patterns`: those of `fixes similar`, the trend over the window (counts, oldest first), events in the window before, and how
 * many more there are in this one.
 */
const PATTERN_COLUMNS: readonly Column<PatternRow>[] = [
  ...ISSUE_COLUMNS,
  { header: "trend", value: (row) => row.trend.join(" "), shown: (row) => sparkline(row.trend) },
  { header: "before", value: (row) => row.previous_count, align: "right" },
  {
    header: "change",
    value: (row) => row.change,
    shown: ({ status, change }) =>
      status === "new" || status === "gone" ? status : `${change > 0 ? "+" : ""}${change}`,
    style: ({ status }) => (status === "new" ? "yellow" : status === "gone" ? "dim" : undefined),
    align: "right",
  },
];

/** The window of `fixes patterns`: 7 days. */
const DEFAULT_WINDOW_MS = 7 * 86_400_000;

interface PageOptions {
  limit: number;
  after?: string;
}

/** `fixes similar`, `fixes patterns`, `fixes success-rate`. */
export function defineViewCommands(fixes: Command, run: Run): void {
  fixes
    .command("similar")
    .description("issues that contain a text, with how often they occurred and worked")
    .argument("<type>", 'a part of the issue, case ignored: "connection" finds "reconnection"')
    .option("--limit <n>", "rows", integer("--limit", 1, 10_000), 20)
    .option(...AFTER)
    .option(...STRICT)
    .action(run<PageOptions>(similar));
  fixes
    .command("patterns")
    .description("the issues that occur most, beside the time before: what rises, is new, is gone")
    .option("--since <time>", "seen since: an age, or a time (default: 7d)", time("--since"))
    .option("--limit <n>", "rows", integer("--limit", 1, 10_000), 20)
    .option(...AFTER)
    .option(...STRICT)
    .action(run<PageOptions & { since?: number }>(showPatterns));
  fixes
    .command("success-rate")
    .description("how often fixes worked, with its 95 % interval")
    .argument("[type]", "only issues that contain this text, case ignored")
    .option(...STRICT)
    .action(run(showSuccessRate));
}

async function similar({ app, call }: Context, [type]: string[], { limit, after }: PageOptions) {
  const place = after === undefined ? {} : { after: placeOf("similar", after) };
  const { value, degraded } = await app
    .stores()
    .read(call, (store) => store.similar(call, { type: type!.toLowerCase(), limit: limit + 1, ...place }));
  const page = pageOf(value, limit, "similar", (issue) => issue);
  const issues = page.rows.map(issueRow);
  const { next } = page;
  const data: v.InferOutput<typeof similarIssues> = { issues, count: issues.length, next, degraded };
  const render = async (io: Context["io"]) => {
    await printTable(io, ISSUE_COLUMNS, issues);
    noteNext(io, next);
  };
  return { data, render, degraded };
}

async function showPatterns(
  { app, call }: Context,
  _args: string[],
  options: PageOptions & { since?: number },
) {
  const now = Date.now();
  const since = options.since ?? now - DEFAULT_WINDOW_MS;
  // a page keeps the window of the first one, or its counts would be others
  const start =
    options.after === undefined
      ? { since, until: Math.max(now, since + 1) }
      : placeOf("patterns", options.after);
  const { value, degraded } = await app
    .stores()
    .read(call, (store) => patterns(call, store, start, options.limit));
  const rows = value.patterns.map(patternRow);
  const next = value.next && cursorOf("patterns", value.next);
  const data: v.InferOutput<typeof patternList> = {
    since: isoTime(start.since),
    since_ms: start.since,
    until: isoTime(start.until),
    until_ms: start.until,
    patterns: rows,
    count: rows.length,
    next,
    degraded,
  };
  const render = async (io: Context["io"]) => {
    await printTable(io, PATTERN_COLUMNS, rows);
    noteNext(io, next);
  };
  return { data, render, degraded };
}

function patternRow(pattern: Pattern): PatternRow {
  const { occurrences, previous, trend } = pattern;
  const change = occurrences - previous;
  const trends = change > 0 ? "rising" : change < 0 ? "falling" : "steady";
  return {
    ...issueRow(pattern),
    previous_count: previous,
    change,
    status: previous === 0 ? "new" : occurrences === 0 ? "gone" : trends,
    trend,
  };
}

async function showSuccessRate({ app, call }: Context, [type]: string[]) {
  const { value, degraded } = await app
    .stores()
    .read(call, (store) => store.successCounts(call, type?.toLowerCase(), undefined));
  const { total, successes, failures } = value;
  const data: v.InferOutput<typeof successRate> = {
    type: type ?? null,
    total,
    successes,
    failures,
    unknown: total - successes - failures,
    ...ratesOf(value),
    degraded,
  };
  const { success_rate: rate, success_low: low, success_high: high, unknown } = data;
  const interval = rate === null ? "" : `, 95 % interval ${percent(low)} to ${percent(high)}`;
  return {
    data,
    render: (io: Context["io"]) =>
      io.out(
        io.stdoutIsTty
          ? `${percent(rate)} worked: ${successes} of ${successes + failures}${interval} (${unknown} more without an outcome)\n`
          : `${[rate ?? "", successes, failures, unknown, low ?? "", high ?? ""].join("\t")}\n`,
      ),
    degraded,
  };
}
