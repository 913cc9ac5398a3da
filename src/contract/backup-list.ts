/** What `backup list`, `show` and `diff`, and `cleanup`, print. */
import * as v from "valibot";
import { CONTAINERS, drillSchema, LEVELS, metadataSchema, verifiedSchema } from "../backup/metadata.ts";
import { CLEANUP_KINDS } from "../maintain/cleanup.ts";
import { count, degraded, engine, milliseconds, nullableText, text, time } from "./common.ts";

const consistency = v.nullable(v.picklist(["consistent", "fuzzy"]));
/** `missing`: only the sidecar is there. `unknown`: there is no sidecar, or none that can be read. */
const state = v.picklist(["complete", "incomplete", "damaged", "missing", "unknown"]);

const archive = {
  /** Null without a sidecar. */
  sequence: v.nullable(count),
  name: text,
  path: text,
  container: v.picklist(CONTAINERS),
  encrypted: v.boolean(),
  size_bytes: count,
  /** Null: neither the metadata nor the name say it. */
  created_at: v.nullable(time),
  age_ms: v.nullable(milliseconds),
  engines: v.array(engine),
  state,
  consistency,
  skew_ms: v.nullable(milliseconds),
  verified: v.nullable(v.strictObject(verifiedSchema.entries)),
  problem: nullableText,
  /** The newest of those that are complete, verified and undamaged. */
  latest: v.boolean(),
  /** It has a signature; `backup verify` says whether it is right. */
  signed: v.boolean(),
  /** The last drill that came to a verdict. */
  drill: v.nullable(v.strictObject(drillSchema.entries)),
};

export const backupList = v.strictObject({
  /** The folder. */
  dir: text,
  /** Newest first. */
  backups: v.array(
    v.strictObject({
      ...archive,
      parts: v.array(
        v.strictObject({ engine, name: text, state: v.picklist(["complete", "failed"]), consistency }),
      ),
    }),
  ),
  count,
  /** Without limit and offset. */
  total: count,
  limit: count,
  offset: count,
});

export const shownBackup = v.strictObject({
  ...archive,
  /** Of the archive, as the sidecar has it. */
  sha256: nullableText,
  /** The last look at it that found damage. */
  damaged: v.nullable(v.strictObject({ at: time, level: v.picklist(LEVELS), message: text })),
  /** How long a restore may take, from the newest drill of its folder that had the same parts. */
  restore_estimate: v.nullable(
    v.strictObject({
      duration_ms: milliseconds,
      from: text,
      /** Engines that the drill did not load: they come on top. */
      without: v.array(engine),
    }),
  ),
  /** The set's own `metadata.json`; null without a sidecar. */
  metadata: v.nullable(metadataSchema),
});

const amount = v.nullable(count);

export const backupDiff = v.strictObject({
  a: text,
  b: text,
  same: v.boolean(),
  /** Parts that are not whole in both; null: not there. */
  parts: v.array(
    v.strictObject({
      engine,
      name: text,
      a: v.nullable(v.picklist(["complete", "failed"])),
      b: v.nullable(v.picklist(["complete", "failed"])),
    }),
  ),
  /** Amounts that differ; null: not there. */
  changes: v.array(
    v.strictObject({
      engine,
      part: text,
      kind: v.picklist(["count", "breakdown"]),
      name: text,
      a: amount,
      b: amount,
      /** b - a. */
      change: v.pipe(v.number(), v.integer()),
    }),
  ),
  /** Amounts that are the same. */
  unchanged: count,
});

export const cleanedUp = v.strictObject({
  dir: text,
  dry_run: v.boolean(),
  /** Either `days` or rules; null: does not apply. */
  policy: v.strictObject({
    days: amount,
    keep_last: amount,
    keep_daily: amount,
    keep_weekly: amount,
    keep_monthly: amount,
    keep_yearly: amount,
    keep_within_ms: v.nullable(milliseconds),
  }),
  /** Newest first. */
  archives: v.array(
    v.strictObject({
      name: text,
      action: v.picklist(["keep", "remove"]),
      reasons: v.array(text),
      size_bytes: count,
      /** Why it could not be removed. */
      error: nullableText,
    }),
  ),
  /** With `--dry-run`: what would be removed. */
  removed_count: count,
  removed_bytes: count,
  /** What killed runs left behind in the folder of archives, and was removed. */
  swept: v.array(text),
  /** Every kind that was looked for; one of servers, once for each. */
  kinds: v.array(
    v.strictObject({
      kind: v.picklist(CLEANUP_KINDS),
      engine: v.nullable(engine),
      /** Things, or rows of tables. */
      found: count,
      /** 0 with `--dry-run`. */
      removed: count,
      /** Of what was removed (with `--dry-run`: found), where it is known. */
      size_bytes: count,
      /** Why it could not look, or take something away. */
      error: nullableText,
      /** What was found, at most 20. */
      items: v.array(v.strictObject({ subject: text, why: text, count, size_bytes: v.nullable(count) })),
    }),
  ),
  degraded,
});
