import * as v from "valibot";
import { count, degraded, engine, errorCode, milliseconds, nullableText, text, time } from "./common.ts";

const severity = v.picklist(["info", "warning", "error"]);
const area = v.picklist(["postgres", "neo4j", "redis", "sqlite", "host", "stack", "backup", "docker"]);

/** A command, as words and as a shell takes it. */
const remedy = v.strictObject({
  argv: v.array(text),
  command: text,
  /** `doctor --fix` may run it after asking. */
  safe: v.boolean(),
  /** With `--fix`: what became of it; null: it was not run. */
  result: v.nullable(v.picklist(["done", "failed"])),
  error: nullableText,
});

export const diagnosis = v.strictObject({
  /** Of the worst finding that is left; `ok`: none. */
  status: v.picklist(["ok", "info", "warning", "error"]),
  timestamp: time,
  findings: v.array(
    v.strictObject({
      check: text,
      area,
      severity,
      subject: text,
      evidence: text,
      cause: text,
      remedies: v.array(remedy),
      /** What to do where no single command mends it. */
      advice: nullableText,
      /** With `--fix`: it was mended, and looked for again without being found. */
      fixed: v.boolean(),
    }),
  ),
  checks: v.array(
    v.strictObject({
      id: text,
      area,
      /** `unknown`: not allowed to look, or too slow; `skipped`: its engine did not answer. */
      status: v.picklist(["ok", "found", "unknown", "skipped"]),
      reason: nullableText,
      hint: nullableText,
      duration_ms: milliseconds,
    }),
  ),
  /** Findings that are left, by severity; `unknown`: checks that could not look. */
  counts: v.strictObject({ error: count, warning: count, info: count, unknown: count }),
  degraded,
});

export const checkList = v.strictObject({
  checks: v.array(v.strictObject({ id: text, area, title: text, looks: text })),
  count,
});

export const waited = v.strictObject({
  ready: v.boolean(),
  duration_ms: milliseconds,
  engines: v.array(
    v.strictObject({
      engine,
      ready: v.boolean(),
      version: nullableText,
      attempts: count,
      /** Until it answered. */
      duration_ms: v.nullable(milliseconds),
      code: v.nullable(errorCode),
      message: nullableText,
    }),
  ),
});

export const queried = v.strictObject({
  engine,
  target: text,
  columns: v.array(text),
  /** One array a row, in the order of the columns. */
  rows: v.array(v.array(v.unknown())),
  count,
  truncated: v.boolean(),
  changed: v.nullable(count),
  duration_ms: v.number(),
});

export const maintained = v.strictObject({
  dry_run: v.boolean(),
  tasks: v.array(
    v.strictObject({
      engine,
      kind: text,
      subject: text,
      why: text,
      statement: text,
      work_bytes: v.nullable(count),
      /** `stopped`: the time was over while it ran; `skipped`: before it began. */
      status: v.picklist(["planned", "done", "failed", "stopped", "skipped"]),
      duration_ms: v.nullable(milliseconds),
      freed_bytes: v.nullable(v.number()),
      note: nullableText,
      error: nullableText,
    }),
  ),
  count,
  freed_bytes: v.number(),
  degraded,
});

export const writtenMetrics = v.strictObject({ path: text, size_bytes: count, metrics: count, degraded });
