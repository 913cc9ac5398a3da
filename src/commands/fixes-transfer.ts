import { once } from "node:events";
import { createWriteStream, existsSync, statSync, type WriteStream } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import type * as v from "valibot";
import { parseTime } from "../config/duration.ts";
import type { imported } from "../contract/memory.ts";
import { OpsError, usageError } from "../errors.ts";
import { exportEvents } from "../memory/export.ts";
import { type ImportOptions, importEvents, newReport, type Rejection } from "../memory/import.ts";
import { escapeCell } from "../output/escape.ts";
import { type Context, type Run, STRICT } from "./command.ts";
import { readLines } from "./lines.ts";
import { NO_MASK, reportMasked, reportQueued } from "./writes.ts";

/** Rejected lines that are shown when there is no --rejects file. */
const SHOWN_REJECTIONS = 5;

/** `fixes import` and `fixes export`: NDJSON, one event a line. */
export function defineTransferCommands(fixes: Command, run: Run): void {
  fixes
    .command("import")
    .description("store events from NDJSON, one a line; repeating it changes nothing")
    .argument("<file>", "a file, or - for stdin")
    .option("--rejects <file>", "write lines that were not stored there, with number and reason")
    .option(...NO_MASK)
    .option(...STRICT)
    .addHelpText(
      "after",
      `
A line: {"issue", "solution"} or {"key", "content"}, and if known: id, event_id, details, success, agent, server, ts, tags, metadata.
Lines that are rejected do not keep the others: exit code 3.`,
    )
    .action(run<{ rejects?: string; mask: boolean; strict?: boolean }>(importFile));
  fixes
    .command("export")
    .description("print every event as NDJSON, oldest first, as import reads it")
    .option(...STRICT)
    .action(run<{ strict?: boolean }>(exportAll));
}

async function importFile(
  context: Context,
  [file]: string[],
  options: { rejects?: string; mask: boolean; strict?: boolean },
) {
  const { app, call, io } = context;
  const startedAt = performance.now();
  keepYoungGenerationSmall();
  checkRejects(file!, options.rejects);
  const rejects = new RejectsFile(options.rejects);
  let shown = 0;
  const report = newReport();
  const source: ImportOptions = {
    lines: readLines(call, file!, "FILE"),
    totalBytes: sizeOf(file!),
    parseTime: timeOfLine,
    mask: options.mask,
    async onReject(rejection) {
      await rejects.write(rejection);
      shown += 1;
      if (shown <= SHOWN_REJECTIONS) io.note(`line ${rejection.line} was rejected: ${rejection.reason}`);
    },
  };
  try {
    await importEvents(call, app.stores(), source, report);
  } catch (error) {
    const stored = report.imported + report.duplicates;
    if (stored > 0) io.note(`${stored} events are stored; the same import goes on from there`);
    throw error;
  }
  await rejects.close();
  const masked = [...report.masked].map(([kind, count]) => ({ kind, count }));
  reportMasked(context, masked);
  const data: v.InferOutput<typeof imported> = {
    lines: report.lines,
    imported: report.imported,
    duplicates: report.duplicates,
    rejected: report.rejected,
    rejects: report.rejected > 0 ? (options.rejects ?? null) : null,
    queued: report.queued,
    degraded: report.degraded,
    masked,
    duration_ms: Math.round(performance.now() - startedAt),
  };
  const failure = reportQueued(context, { failures: report.degraded });
  const isPartial = report.rejected > 0 || (options.strict && report.queued.length > 0);
  return {
    data,
    render: (out: Context["io"]) => out.out(summary(data)),
    code: isPartial ? ("partial" as const) : undefined,
    failure,
  };
}

/**
 * A batch outlives many collections, so V8 would let its new space grow to its limit: a third of the memory of an import, for no less processor
 * time. Of V8's limits of that space only the growth can still be set in a process that runs.
 */
function keepYoungGenerationSmall(): void {
  process.getBuiltinModule("node:v8").setFlagsFromString("--semi-space-growth-factor=1");
}

function summary({
  lines,
  imported: count,
  duplicates,
  rejected,
  rejects,
  queued,
  duration_ms,
}: v.InferOutput<typeof imported>) {
  const parts = [`${count} of ${lines} events ${queued.length > 0 ? "queued or stored" : "stored"}`];
  if (duplicates > 0) parts.push(`${duplicates} already there`);
  if (rejected > 0)
    parts.push(`${rejected} rejected${rejects === null ? "" : ` (see ${escapeCell(rejects)})`}`);
  return `${parts.join(", ")} in ${(duration_ms / 1000).toFixed(1)} s\n`;
}

/** Undefined for stdin and for what cannot be read: `readLines` says why. */
function sizeOf(file: string): number | undefined {
  return file === "-" ? undefined : statSync(file, { throwIfNoEntry: false })?.size;
}

/** `ts` of a line: epoch milliseconds as a number, or a text. */
function timeOfLine(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 253_402_300_799_999)
    return value;
  if (typeof value !== "string") throw usageError("ts must be epoch milliseconds or a time");
  return parseTime(value, "ts", Date.now());
}

/** Bad places are found before anything is stored. */
function checkRejects(file: string, rejects: string | undefined): void {
  if (rejects === undefined) return;
  const here = statSync(rejects, { throwIfNoEntry: false });
  const input = file === "-" ? undefined : statSync(file, { throwIfNoEntry: false });
  if (here && input && here.dev === input.dev && here.ino === input.ino) {
    throw usageError(`--rejects: ${rejects} is the file that is imported`, "name another file");
  }
  if (here?.isDirectory() || !existsSync(dirname(rejects))) {
    throw usageError(`--rejects: ${rejects} cannot be written`, "name a file in a folder that exists");
  }
}

/** Made at the first rejected line, so that a clean import leaves no empty file. */
class RejectsFile {
  readonly #path: string | undefined;
  #stream: WriteStream | undefined;

  constructor(path: string | undefined) {
    this.#path = path;
  }

  async write(rejection: Rejection): Promise<void> {
    if (this.#path === undefined) return;
    this.#stream ??= await openRejects(this.#path);
    await new Promise<void>((resolve, reject) => {
      this.#stream!.write(`${JSON.stringify(rejection)}\n`, (error) =>
        error ? reject(cannotWrite(this.#path!, error)) : resolve(),
      );
    });
  }

  async close(): Promise<void> {
    if (!this.#stream) return;
    this.#stream.end();
    await once(this.#stream, "close");
  }
}

async function openRejects(path: string): Promise<WriteStream> {
  const stream = createWriteStream(path, { mode: 0o600 });
  try {
    await once(stream, "open");
  } catch (error) {
    throw cannotWrite(path, error);
  }
  stream.on("error", () => {
    // each write reports its own
  });
  return stream;
}

function cannotWrite(path: string, error: unknown): OpsError {
  return new OpsError({
    code: "failed",
    message: `--rejects: ${path} cannot be written (${(error as NodeJS.ErrnoException).code})`,
    hint: "make room or name another file, then repeat the import: what was stored stays",
  });
}

async function exportAll({ app, call, io }: Context, _args: string[], options: { strict?: boolean }) {
  const { events, degraded } = await exportEvents(call, app.stores(), (line) => io.out(`${line}\n`));
  for (const { engine, message } of degraded) io.note(`${engine} is missing here: ${message}`, "warning:");
  call.log("INFO", "exported", { events });
  const [missing] = degraded;
  if (missing && options.strict) {
    throw new OpsError({
      code: "partial",
      message: `${missing.engine} could not answer: ${missing.message}`,
    });
  }
  return undefined;
}
