import * as v from "valibot";
import { count, degraded, engine, milliseconds, nullableText, rate, text, time } from "./common.ts";

export const registeredAgent = v.strictObject({
  /** `queued` while no store could say whether the name was known. */
  status: v.picklist(["registered", "updated", "queued"]),
  name: text,
  server: nullableText,
  agent_status: nullableText,
  last_seen: time,
  last_seen_ms: milliseconds,
  queued: v.array(engine),
});

export const agents = v.strictObject({
  agents: v.array(
    v.strictObject({
      name: text,
      status: text,
      server: nullableText,
      last_seen: time,
      last_seen_ms: milliseconds,
      age_seconds: count,
      /** Not seen for longer than `--stale`. */
      stale: v.boolean(),
    }),
  ),
  count,
  /** What `--after` takes for the next rows; null at the end. */
  next: nullableText,
  degraded,
});

export const remembered = v.strictObject({
  /** The record's id. */
  id: text,
  event_id: text,
  key: text,
  status: v.picklist(["stored", "queued", "duplicate"]),
  success: v.nullable(v.boolean()),
  /** Engines that do not have it yet. */
  queued: v.array(engine),
  /** Secrets that were replaced by `[masked:KIND]` before anything was stored. */
  masked: v.array(
    v.strictObject({
      field: v.picklist(["key", "content", "details", "agent", "server", "tags", "metadata"]),
      kind: text,
      count,
    }),
  ),
});

/** What `--after` takes for the next rows; null at the end. */
const next = nullableText;

const fixFields = {
  /** The record's id. */
  id: text,
  key: text,
  issue: nullableText,
  solution: text,
  details: nullableText,
  success: v.nullable(v.boolean()),
  timestamp: time,
  timestamp_ms: milliseconds,
  agent: nullableText,
  server: nullableText,
  tags: v.array(text),
  metadata: v.record(text, v.unknown()),
};

export const fix = v.strictObject({
  ...fixFields,
  occurrences: count,
  successes: count,
  failures: count,
  first_seen: time,
  first_seen_ms: milliseconds,
});

export const fixes = v.strictObject({
  /** With `--events` each row is an event and has an `event_id`. */
  fixes: v.array(v.union([fix, v.strictObject({ event_id: text, ...fixFields })])),
  count,
  limit: count,
  offset: count,
  next,
  degraded,
});

export const shownFix = v.strictObject({
  /** `null` while a missing store keeps us from knowing it. */
  fix: v.nullable(fix),
  /** Newest first, at most `--limit`. */
  events: v.array(v.strictObject({ event_id: text, ...fixFields })),
  next,
  degraded,
});

/** 95 % interval of the success rate (Wilson); null when no outcome is known. */
const interval = { success_low: rate, success_high: rate };

const issueFields = {
  issue: nullableText,
  key: text,
  solution: text,
  occurrence_count: count,
  successes: count,
  failures: count,
  /** Of the events whose outcome is known; null when none is. */
  success_rate: rate,
  ...interval,
  last_seen: time,
  last_seen_ms: milliseconds,
};

export const similarIssues = v.strictObject({
  issues: v.array(v.strictObject(issueFields)),
  count,
  next,
  degraded,
});

export const patterns = v.strictObject({
  since: time,
  since_ms: milliseconds,
  until: time,
  until_ms: milliseconds,
  /** Most events in the window first; after them those that occurred in the window before only. */
  patterns: v.array(
    v.strictObject({
      ...issueFields,
      /** Events in the window of the same length before. */
      previous_count: count,
      /** `occurrence_count` less `previous_count`. */
      change: v.pipe(v.number(), v.integer()),
      status: v.picklist(["new", "rising", "steady", "falling", "gone"]),
      /** Events in each of 14 equal parts of the window, oldest first. */
      trend: v.array(count),
    }),
  ),
  count,
  next,
  degraded,
});

export const successRate = v.strictObject({
  type: nullableText,
  total: count,
  successes: count,
  failures: count,
  unknown: count,
  success_rate: rate,
  ...interval,
  degraded,
});

export const timeline = v.strictObject({
  /** The key in lower case; keys that differ in case only are one issue here. */
  key: text,
  /** All of the issue's events; null while a missing store keeps us from knowing them. */
  summary: v.nullable(
    v.strictObject({
      occurrence_count: count,
      successes: count,
      failures: count,
      success_rate: rate,
      ...interval,
      /** Different fixes. */
      fixes: count,
      first_seen: time,
      first_seen_ms: milliseconds,
      last_seen: time,
      last_seen_ms: milliseconds,
      /** Events in each of 14 equal parts from first to last. */
      trend: v.array(count),
    }),
  ),
  /** Newest first. */
  events: v.array(v.strictObject({ event_id: text, ...fixFields })),
  count,
  next,
  degraded,
});

export const forgotten = v.strictObject({
  id: text,
  key: text,
  status: v.picklist(["forgotten", "queued", "planned"]),
  queued: v.array(engine),
});

export const imported = v.strictObject({
  lines: count,
  imported: count,
  duplicates: count,
  rejected: count,
  /** The file of rejected lines, when one was written. */
  rejects: nullableText,
  queued: v.array(engine),
  degraded,
  /** Secrets that were replaced in these events, by kind. */
  masked: v.array(v.strictObject({ kind: text, count })),
  duration_ms: milliseconds,
});
