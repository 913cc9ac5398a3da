/** Import and export of the memory as NDJSON: one event a line. */
import { type Call, throwIfAborted } from "../call.ts";
import { type Degraded, type EngineName, OpsError, toOpsError, usageError } from "../errors.ts";
import { lineEventId } from "./ids.ts";
import type { NewWrite } from "./journal.ts";
import { type EventView, ISSUE_PREFIX, issueOf } from "./model.ts";
import { type FieldNames, rememberWrite } from "./remember.ts";
import type { Stores } from "./stores.ts";

export interface ImportReport {
  /** Lines that are not blank. */
  lines: number;
  /** Events that are new to the store (or queued). */
  imported: number;
  /** Events that were there already. */
  duplicates: number;
  rejected: number;
  /** Engines that do not have all of it yet. */
  queued: EngineName[];
  degraded: Degraded[];
}

/** A line that was not stored, with its number (from 1) and why. */
export interface Rejection {
  line: number;
  reason: string;
  text: string;
}

export interface ImportOptions {
  lines: AsyncIterable<string>;
  /** Bytes of all lines, when they are known: what progress counts against. */
  totalBytes?: number | undefined;
  /** Called for each rejected line, in order; awaited. */
  onReject(rejection: Rejection): Promise<void>;
  /** Reads a point in time of a line: ms, or a text. Throws `usage`. */
  parseTime(value: unknown): number | undefined;
}

/** Lines in one transaction. */
const BATCH_SIZE = 1000;
/** Bytes of text in one transaction: a batch of large records must not fill the memory. */
const BATCH_BYTES = 8 * 1024 * 1024;

const FIELDS: FieldNames = {
  key: "key",
  content: "content",
  details: "details",
  success: "success",
  agent: "agent",
  server: "server",
  tags: "tags",
  metadata: "metadata",
  at: "ts",
  id: "id",
  eventId: "event_id",
};
const KNOWN = new Set([...Object.values(FIELDS), "issue", "solution", "namespace"]);

/**
 * Stores events line by line, in batches: memory stays bounded, and what was reported stored is stored. Importing the same lines again
 * changes nothing, because an event without an id gets one from its line.
 */
export async function importEvents(
  call: Call,
  stores: Stores,
  options: ImportOptions,
): Promise<ImportReport> {
  const report: ImportReport = {
    lines: 0,
    imported: 0,
    duplicates: 0,
    rejected: 0,
    queued: [],
    degraded: [],
  };
  let batch: { line: number; text: string; write: NewWrite }[] = [];
  let bytes = 0;
  let number = 0;
  let read = 0;

  const flush = async () => {
    if (batch.length === 0) return;
    const { outcomes, queued, failures } = await stores.write(
      call,
      batch.map(({ write }) => write),
    );
    for (const [index, { line, text }] of batch.entries()) {
      if (outcomes[index] === "duplicate") report.duplicates += 1;
      else if (outcomes[index] !== "conflict") report.imported += 1;
      else await reject(line, text, "its id is taken by other content (event_id or id)");
    }
    report.queued = [...new Set([...report.queued, ...queued])];
    const known = new Set(report.degraded.map(({ engine }) => engine));
    report.degraded.push(...failures.filter(({ engine }) => !known.has(engine)));
    if (options.totalBytes === undefined)
      call.progress({ label: "importing", done: report.lines, unit: "rows" });
    else call.progress({ label: "importing", done: read, total: options.totalBytes, unit: "bytes" });
    batch = [];
    bytes = 0;
  };
  const reject = async (line: number, text: string, reason: string) => {
    report.rejected += 1;
    await options.onReject({ line, reason, text });
  };

  const now = Date.now();
  for await (const text of options.lines) {
    number += 1;
    read += Buffer.byteLength(text) + 1;
    throwIfAborted(call);
    if (text.trim() === "") continue;
    report.lines += 1;
    let write: NewWrite;
    try {
      write = parseLine(text, now, options.parseTime);
    } catch (error) {
      await reject(number, text, toOpsError(error).message);
      continue;
    }
    batch.push({ line: number, text, write });
    bytes += text.length;
    if (batch.length >= BATCH_SIZE || bytes >= BATCH_BYTES) await flush();
  }
  await flush();
  return report;
}

function parseLine(text: string, now: number, parseTime: ImportOptions["parseTime"]): NewWrite {
  let row: Record<string, unknown>;
  try {
    row = JSON.parse(text);
  } catch {
    throw usageError("not valid JSON");
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) throw usageError("not a JSON object");
  for (const name of Object.keys(row)) if (!KNOWN.has(name)) throw usageError(`unknown field "${name}"`);
  if (row["namespace"] !== undefined && row["namespace"] !== "default")
    throw usageError(`namespace must be "default"`);
  return rememberWrite(
    {
      key: either(row, "key", "issue", (issue) => (typeof issue === "string" ? ISSUE_PREFIX + issue : issue)),
      content: either(row, "content", "solution", (solution) => solution),
      details: row["details"],
      success: row["success"],
      agent: row["agent"],
      server: row["server"],
      tags: row["tags"],
      metadata: row["metadata"],
      at: parseTime(row["ts"]),
      id: row["id"],
      eventId: row["event_id"],
    },
    FIELDS,
    now,
    lineEventId(text),
  );
}

/** A field that has two names: the guides' and opsctl's. */
function either(
  row: Record<string, unknown>,
  name: string,
  other: string,
  convert: (value: unknown) => unknown,
): unknown {
  const [own, guides] = [row[name] ?? undefined, row[other] ?? undefined];
  if (own === undefined && guides === undefined) throw usageError(`${name} (or ${other}) is missing`);
  if (guides === undefined) return own;
  if (guides === "") throw usageError(`${other} is empty`);
  const converted = convert(guides);
  if (own !== undefined && own !== converted)
    throw usageError(`${name} and ${other} are both set and differ`);
  return converted;
}

/** The line of an event, as `importEvents` reads it back: the same record, the same event. */
export function exportLine(event: EventView): Record<string, unknown> {
  const { record } = event;
  return {
    id: record.id,
    event_id: event.id,
    key: record.key,
    issue: issueOf(record.key) ?? undefined,
    content: record.content,
    details: record.details,
    success: event.success,
    agent: event.agent,
    server: event.server,
    ts: event.at,
    tags: event.tags,
    metadata: event.metadata,
  };
}

/**
 * All events, oldest first, from the first store that answers. Once rows have left, a failure is an error: half an export must not
 * look like a whole one.
 */
export async function exportEvents(
  call: Call,
  stores: Stores,
  write: (line: string) => Promise<void>,
): Promise<{ events: number; degraded: Degraded[] }> {
  let events = 0;
  const { degraded } = await stores.read(call, async (store) => {
    if (events > 0)
      throw new OpsError({ code: "failed", message: "the export broke off: its store went away" });
    for await (const event of store.export(call)) {
      throwIfAborted(call);
      await write(JSON.stringify(exportLine(event)));
      events += 1;
    }
  });
  return { events, degraded };
}
