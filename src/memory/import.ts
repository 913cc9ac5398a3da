/** Import of the memory from NDJSON: one event a line. */
import { type Call, throwIfAborted } from "../call.ts";
import { type Degraded, type EngineName, OpsError, toOpsError, usageError } from "../errors.ts";
import { lineEventId } from "./ids.ts";
import type { NewWrite } from "./journal.ts";
import { parseJson } from "./json.ts";
import { ISSUE_PREFIX } from "./model.ts";
import { type FieldNames, type Masked, maskInput, rememberWrite } from "./remember.ts";
import { maskJson, maskText } from "./secrets.ts";
import type { Stores, Written } from "./stores.ts";

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
  /** Secrets that were masked in these events (those that were there already included), by kind. */
  masked: Map<string, number>;
}

/** A line that was not stored, with its number (from 1) and why. */
export interface Rejection {
  line: number;
  reason: string;
  text: string;
}

export function newReport(): ImportReport {
  return { lines: 0, imported: 0, duplicates: 0, rejected: 0, queued: [], degraded: [], masked: new Map() };
}

/** A line without its end, or why it cannot be one: its text as far as it can be shown. */
export type InputLine = string | { defect: string; text: string; bytes: number };

export interface ImportOptions {
  lines: AsyncIterable<InputLine>;
  /** Bytes of all lines, when they are known: what progress counts against. */
  totalBytes?: number | undefined;
  /** Called for each rejected line, in the order of the lines; awaited. */
  onReject(rejection: Rejection): Promise<void>;
  /** Reads a point in time of a line: ms, or a text. Throws `usage`. */
  parseTime(value: unknown): number | undefined;
  /** False: secrets are stored, and rejected lines handed over, as they are. */
  mask?: boolean;
}

/**
 * Lines in one transaction. The embedded file writes the pages of its indexes once a transaction: at 100,000 fixes 2.1 GB with 1,000 lines, 1.0 GB
 * with 4,000. Servers get fewer, so that a delivery ends within its time.
 */
const BATCH_SIZE = { embedded: 4000, servers: 1000 };
/** Bytes of text in one transaction: a batch of large records must not fill the memory. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** Age of a batch at which the next line ends it: lines that trickle in are stored soon. */
const BATCH_MS = 2000;

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

/** A line as read: what it writes, or why it is rejected. */
interface Line {
  number: number;
  text: string;
  write?: NewWrite;
  masked?: Masked[];
  reason?: string;
}

/**
 * Stores events line by line, in batches: memory stays bounded, and what was reported stored is stored. Importing the same lines again
 * changes nothing, because an event without an id gets one from its line.
 * @param report filled on the way, so that the caller knows what was stored when the import breaks off
 */
export async function importEvents(
  call: Call,
  stores: Stores,
  options: ImportOptions,
  report: ImportReport = newReport(),
): Promise<ImportReport> {
  const now = Date.now();
  const batchSize = stores.usesServers ? BATCH_SIZE.servers : BATCH_SIZE.embedded;
  let batch: Line[] = [];
  let startedAt = 0;
  let [number, bytes, read] = [0, 0, 0];
  const flush = async () => {
    await storeBatch(call, stores, batch, options, report);
    if (options.totalBytes === undefined)
      call.progress({ label: "importing", done: report.lines, unit: "rows" });
    else call.progress({ label: "importing", done: read, total: options.totalBytes, unit: "bytes" });
    batch = [];
    bytes = 0;
  };
  for await (const content of options.lines) {
    throwIfAborted(call);
    number += 1;
    read += (typeof content === "string" ? Buffer.byteLength(content) : content.bytes) + 1;
    if (typeof content === "string" && content.trim() === "") continue;
    report.lines += 1;
    const line = readLine(number, content, now, options);
    if (batch.length === 0) startedAt = performance.now();
    batch.push(line);
    bytes += line.text.length;
    const isDue = performance.now() - startedAt > BATCH_MS;
    if (batch.length >= batchSize || bytes >= BATCH_BYTES || isDue) await flush();
  }
  await flush();
  return report;
}

async function storeBatch(
  call: Call,
  stores: Stores,
  batch: readonly Line[],
  { onReject, mask = true }: ImportOptions,
  report: ImportReport,
): Promise<void> {
  const writes = batch.flatMap(({ write }) => write ?? []);
  const written = writes.length === 0 ? undefined : await stores.write(call, writes);
  let index = 0;
  for (const { number, text, write, masked, reason } of batch) {
    const rejection = write ? conflictReason(written!, index) : reason!;
    if (write && rejection === undefined) {
      if (written!.outcomes[index] === "duplicate") report.duplicates += 1;
      else report.imported += 1;
      for (const { kind, count } of masked ?? [])
        report.masked.set(kind, count + (report.masked.get(kind) ?? 0));
    }
    if (rejection !== undefined) {
      report.rejected += 1;
      await onReject(
        mask
          ? { line: number, reason: maskText(rejection), text: maskLine(text) }
          : { line: number, reason: rejection, text },
      );
    }
    if (write) index += 1;
  }
  report.queued = [...new Set([...report.queued, ...(written?.queued ?? [])])];
  const known = new Set(report.degraded.map(({ engine }) => engine));
  report.degraded.push(...(written?.failures ?? []).filter(({ engine }) => !known.has(engine)));
}

function conflictReason({ conflicts }: Written, index: number): string | undefined {
  const conflict = conflicts.get(index);
  if (!conflict) return undefined;
  const others = conflict.stored.length > 0 ? `; ${conflict.stored.join(" and ")} stored it` : "";
  return `its id (event_id or id) is taken by other content in ${conflict.refused.join(" and ")}${others}`;
}

/** A raw line without secrets; where JSON escapes hide one, the line is written anew. */
function maskLine(text: string): string {
  const masked = maskText(text);
  try {
    const row: unknown = JSON.parse(masked);
    const clean = maskJson(row, () => {});
    return clean === row ? masked : JSON.stringify(clean);
  } catch {
    return masked;
  }
}

function readLine(number: number, content: InputLine, now: number, options: ImportOptions): Line {
  if (typeof content !== "string") return { number, text: content.text, reason: content.defect };
  try {
    return { number, text: content, ...parseLine(content, now, options) };
  } catch (error) {
    return { number, text: content, reason: toOpsError(error).message };
  }
}

function parseLine(
  text: string,
  now: number,
  { parseTime, mask = true }: ImportOptions,
): { write: NewWrite; masked: Masked[] } {
  let row: Record<string, unknown>;
  try {
    row = parseJson(text);
  } catch (error) {
    throw error instanceof OpsError ? error : usageError("not valid JSON");
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) throw usageError("not a JSON object");
  for (const name of Object.keys(row)) if (!KNOWN.has(name)) throw usageError(`unknown field "${name}"`);
  if (row["namespace"] !== undefined && row["namespace"] !== "default")
    throw usageError(`namespace must be "default"`);
  const given = {
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
  };
  const { input, masked } = mask ? maskInput(given) : { input: given, masked: [] };
  // the hash of a line with a secret would let the secret be guessed
  const id = lineEventId(masked.length > 0 ? maskLine(text) : text);
  return { write: rememberWrite(input, FIELDS, now, id), masked };
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
