import type { Command } from "commander";
import type * as v from "valibot";
import type { patterns as patternList, similarIssues, successRate } from "../contract/memory.ts";
import { patterns } from "../memory/patterns.ts";
import { isoTime, percent, sparkline } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, integer, type Run, STRICT, time } from "./command.ts";
import { ISSUE_COLUMNS, type IssueRow, issueRow, rateOf } from "./rows.ts";

/** Columns of `fixes patterns`: those of `fixes similar`, and the trend over the window (counts, oldest first). */
const PATTERN_COLUMNS: readonly Column<IssueRow & { trend: number[] | null }>[] = [
  ...ISSUE_COLUMNS,
  {
    header: "trend",
    value: (row) => row.trend?.join(" ") ?? null,
    shown: (row) => (row.trend ? sparkline(row.trend) : ""),
  },
];

/** The window of `fixes patterns`: 7 days. */
const DEFAULT_WINDOW_MS = 7 * 86_400_000;

/** `fixes similar`, `fixes patterns`, `fixes success-rate`. */
export function defineViewCommands(fixes: Command, run: Run): void {
  fixes
    .command("similar")
    .description("issues that contain a text, with how often they occurred")
    .argument("<type>", 'a part of the issue, case ignored: "connection" finds "reconnection"')
    .option("--limit <n>", "rows", integer("--limit", 1, 10_000), 20)
    .option(...STRICT)
    .action(run<{ limit: number }>(similar));
  fixes
    .command("patterns")
    .description("the issues that occur most")
    .option("--since <time>", "seen since: an age, or a time (default: 7d)", time("--since"))
    .option("--limit <n>", "rows", integer("--limit", 1, 10_000), 20)
    .option(...STRICT)
    .action(run<{ since?: number; limit: number }>(showPatterns));
  fixes
    .command("success-rate")
    .description("how often fixes worked")
    .argument("[type]", "only issues that contain this text, case ignored")
    .option(...STRICT)
    .action(run(showSuccessRate));
}

async function similar({ app, call }: Context, [type]: string[], { limit }: { limit: number }) {
  const { value, degraded } = await app
    .stores()
    .read(call, (store) => store.similar(call, type!.toLowerCase(), undefined, limit));
  const issues = value.map(issueRow);
  const data: v.InferOutput<typeof similarIssues> = { issues, count: issues.length, degraded };
  return { data, render: (io: Context["io"]) => printTable(io, ISSUE_COLUMNS, issues), degraded };
}

async function showPatterns(
  { app, call }: Context,
  _args: string[],
  options: { since?: number; limit: number },
) {
  const since = options.since ?? Date.now() - DEFAULT_WINDOW_MS;
  const { value, degraded } = await app
    .stores()
    .read(call, (store) => patterns(call, store, since, options.limit));
  const rows = value.map((pattern) => ({ ...issueRow(pattern), trend: pattern.trend }));
  const data: v.InferOutput<typeof patternList> = {
    since: isoTime(since),
    since_ms: since,
    patterns: rows,
    count: rows.length,
    degraded,
  };
  return { data, render: (io: Context["io"]) => printTable(io, PATTERN_COLUMNS, rows), degraded };
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
    success_rate: rateOf(successes, failures),
    degraded,
  };
  return {
    data,
    render: (io: Context["io"]) =>
      io.out(
        io.stdoutIsTty
          ? `${percent(data.success_rate)} worked: ${successes} of ${successes + failures} (${data.unknown} more without an outcome)\n`
          : `${data.success_rate ?? ""}\t${successes}\t${failures}\t${data.unknown}\n`,
      ),
    degraded,
  };
}
