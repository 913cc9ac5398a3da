import * as v from "valibot";
import { CONTAINERS, drillSchema, partSchema, verifiedSchema } from "../backup/metadata.ts";
import { count, milliseconds, text, time } from "./common.ts";

/** `backup`: what was made. */
export const madeBackup = v.strictObject({
  name: text,
  /** Absolute. */
  path: text,
  container: v.picklist(CONTAINERS),
  encrypted: v.boolean(),
  size_bytes: count,
  sha256: text,
  sequence: count,
  state: v.picklist(["complete", "incomplete"]),
  consistency: v.picklist(["consistent", "fuzzy"]),
  skew_ms: v.nullable(milliseconds),
  started_at: time,
  finished_at: time,
  /** With verification. */
  duration_ms: milliseconds,
  /** Most bytes of packed files that waited on disk for the archive. */
  spooled_bytes: count,
  verified: v.nullable(verifiedSchema),
  /** With --drill; null: none came to a verdict. */
  drill: v.nullable(drillSchema),
  parts: v.array(partSchema),
  /** What fell by a large share against the archive before, and hooks and pings that failed. */
  warnings: v.array(text),
  /** Names that retention removed. */
  removed: v.array(text),
});

/** `backup grants`. */
export const backupGrants = v.strictObject({
  grants: v.array(v.strictObject({ engine: text, text })),
});
