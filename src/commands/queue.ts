import type { Command } from "commander";
import type * as v from "valibot";
import type { dropped, queue, synced } from "../contract/operations.ts";
import { OpsError } from "../errors.ts";
import type { JournalEntry } from "../memory/journal.ts";
import type { Write } from "../memory/model.ts";
import { isoTime } from "../output/human.ts";
import { type Column, printTable } from "../output/table.ts";
import { type Context, confirm, integer, type Run, STRICT } from "./command.ts";

type Row = v.InferOutput<typeof queue>["queue"][number];

/** Columns of `queue`: number, store, kind, subject, state, attempts, last error, queued at. */
const COLUMNS: readonly Column<Row>[] = [
  { header: "no.", value: (row) => row.seq, align: "right" },
  { header: "store", value: (row) => row.store },
  { header: "kind", value: (row) => row.kind },
  { header: "about", flexible: true, value: (row) => row.subject },
  {
    header: "state",
    value: (row) => row.state,
    style: (row) => (row.state === "rejected" ? "red" : "yellow"),
  },
  { header: "tries", value: (row) => row.attempts, align: "right" },
  { header: "last error", flexible: true, value: (row) => row.last_error },
  { header: "queued", value: (row) => row.queued_at },
];

export function define(command: Command, run: Run): void {
  command
    .option("--limit <n>", "rows", integer("--limit", 1, 100_000), 100)
    .addHelpText("after", "\nExamples:\n  opsctl queue\n  opsctl queue sync")
    .action(run<{ limit: number }>(list));
  command
    .command("sync")
    .description("deliver what waits for the configured servers; exit code 3 while something is left")
    .option(...STRICT)
    .action(run(sync));
  command
    .command("drop")
    .description("delete a queued write, a rejected one for example; its content is lost")
    .argument("<seq>", "its number")
    .option("--dry-run", "show what would be deleted")
    .option("-y, --yes", "do not ask")
    .action(run<{ dryRun?: boolean; yes?: boolean }>(drop));
}

async function list({ app, call }: Context, _args: string[], { limit }: { limit: number }) {
  const { journal } = app.stores();
  const rows = (await journal.list(call, limit)).map(queueRow);
  const totals = await journal.counts(call);
  const data: v.InferOutput<typeof queue> = {
    queue: rows,
    count: rows.length,
    waiting: totals.reduce((sum, { waiting }) => sum + waiting, 0),
    rejected: totals.reduce((sum, { rejected }) => sum + rejected, 0),
  };
  return { data, render: (io: Context["io"]) => printTable(io, COLUMNS, rows) };
}

function queueRow({ seq, store, state, attempts, lastError, write }: JournalEntry): Row {
  return {
    seq,
    store,
    kind: write.kind,
    subject: subjectOf(write),
    state,
    attempts,
    last_error: lastError,
    queued_at: isoTime(write.order),
    queued_at_ms: write.order,
  };
}

function subjectOf(write: Write): string {
  if (write.kind === "remember") return write.record.key;
  return write.kind === "agent" ? write.name : write.recordId;
}

async function sync({ app, call, io }: Context) {
  const stores = app.stores();
  const { deliveries, readdressed } = await stores.sync(call);
  for (const { from, to } of readdressed) io.note(`what waited for ${from} goes to ${to}`);
  const totals = await stores.journal.counts(call);
  const degraded = deliveries.flatMap(({ failure }) => (failure ? [failure] : []));
  const engines = deliveries.map(({ engine, outcomes, rejected }) => ({
    engine,
    delivered: outcomes.size - rejected,
    rejected,
  }));
  const data: v.InferOutput<typeof synced> = {
    delivered: engines.reduce((sum, { delivered }) => sum + delivered, 0),
    waiting: totals.reduce((sum, { waiting }) => sum + waiting, 0),
    rejected: totals.reduce((sum, { rejected }) => sum + rejected, 0),
    readdressed,
    engines,
    degraded,
  };
  const refused = degraded.find(({ code }) => code === "auth");
  return {
    data,
    render: (io: Context["io"]) =>
      io.out(`${data.delivered} delivered, ${data.waiting} waiting, ${data.rejected} rejected\n`),
    degraded,
    code: refused ? ("auth" as const) : data.waiting + data.rejected > 0 ? ("partial" as const) : undefined,
  };
}

async function drop(context: Context, [text]: string[], options: { dryRun?: boolean; yes?: boolean }) {
  const { app, call } = context;
  const { journal } = app.stores();
  const seq = integer("SEQ", 1, Number.MAX_SAFE_INTEGER)(text!);
  const entry = await journal.entry(call, seq);
  if (!entry) {
    throw new OpsError({
      code: "not_found",
      message: `no queued write has the number ${seq}`,
      hint: "opsctl queue",
    });
  }
  const what = `queued write ${seq} (${entry.write.kind} ${subjectOf(entry.write)})`;
  if (!options.dryRun) {
    await confirm(context, options.yes, `deleting the ${what}`);
    await journal.drop(call, seq);
  }
  const data: v.InferOutput<typeof dropped> = { seq, status: options.dryRun ? "planned" : "dropped" };
  return {
    data,
    render: (io: Context["io"]) => io.out(`${options.dryRun ? "would drop" : "dropped"} ${seq}\n`),
  };
}
