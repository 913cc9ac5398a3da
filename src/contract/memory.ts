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
});

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
  degraded,
});

export const shownFix = v.strictObject({
  /** `null` while a missing store keeps us from knowing it. */
  fix: v.nullable(fix),
  /** Newest first, at most `--limit`. */
  events: v.array(v.strictObject({ event_id: text, ...fixFields })),
  degraded,
});

export const recalled = v.strictObject({
  query: text,
  results: v.array(
    v.strictObject({
      id: text,
      key: text,
      issue: nullableText,
      content: text,
      details: nullableText,
      success: v.nullable(v.boolean()),
      score: v.number(),
      match: v.picklist(["key", "prefix", "text"]),
      occurrences: count,
      successes: count,
      failures: count,
      last_seen: time,
      last_seen_ms: milliseconds,
      agent: nullableText,
      server: nullableText,
    }),
  ),
  count,
  degraded,
});

const issueFields = {
  issue: nullableText,
  key: text,
  solution: text,
  occurrence_count: count,
  successes: count,
  failures: count,
  /** Of the events whose outcome is known; null when none is. */
  success_rate: rate,
  last_seen: time,
  last_seen_ms: milliseconds,
};

export const similarIssues = v.strictObject({
  issues: v.array(v.strictObject(issueFields)),
  count,
  degraded,
});

export const patterns = v.strictObject({
  since: time,
  since_ms: milliseconds,
  patterns: v.array(
    v.strictObject({
      ...issueFields,
      /** Events in each of 14 equal parts of the window, oldest first; null when there are too many. */
      trend: v.nullable(v.array(count)),
    }),
  ),
  count,
  degraded,
});

export const successRate = v.strictObject({
  type: nullableText,
  total: count,
  successes: count,
  failures: count,
  unknown: count,
  success_rate: rate,
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
  duration_ms: milliseconds,
});
