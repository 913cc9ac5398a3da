/** What `backup verify` prints. */
import * as v from "valibot";
import { CONTAINERS } from "../backup/metadata.ts";
import { count, engine, errorCode, milliseconds, nullableText, text } from "./common.ts";

export const verifiedBackups = v.strictObject({
  dir: text,
  level: v.picklist(["structure", "checksums", "parse"]),
  ok: v.boolean(),
  backups: v.array(
    v.strictObject({
      name: text,
      /** Absolute. */
      path: text,
      container: v.picklist(CONTAINERS),
      encrypted: v.boolean(),
      size_bytes: count,
      ok: v.boolean(),
      problems: v.array(v.strictObject({ path: text, message: text })),
      /** Those of its metadata; `ok`: read to the end, and as the metadata says. */
      files: v.array(v.strictObject({ path: text, size_bytes: count, ok: v.boolean() })),
      /** `compared`: how many counts of the part were found the same in its files (level `parse`). */
      parts: v.array(v.strictObject({ engine, name: text, compared: count })),
      /** What was not looked at. */
      notes: v.array(text),
      duration_ms: milliseconds,
      /** Why it could not be looked at. */
      error: v.nullable(v.strictObject({ code: errorCode, message: text, hint: nullableText })),
    }),
  ),
  count,
});
