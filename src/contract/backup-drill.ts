/** What `backup drill` prints. */
import * as v from "valibot";
import { CONTAINERS } from "../backup/metadata.ts";
import { count, engine, errorCode, milliseconds, nullableText, text } from "./common.ts";

const amounts = v.record(text, count);

export const drilledBackup = v.strictObject({
  /** The folder of archives. */
  dir: text,
  name: text,
  /** Absolute. */
  path: text,
  container: v.picklist(CONTAINERS),
  encrypted: v.boolean(),
  size_bytes: count,
  ok: v.boolean(),
  /** What the drill shows: `drill`, or `parse` when a part was only read; null: nothing of the archive as a whole. */
  level: v.nullable(v.picklist(["parse", "drill"])),
  /** Who says that it is ours; null: it is damaged. */
  trusted: v.nullable(v.picklist(["catalogue", "signature", "operator"])),
  /** Of the archive, before anything was restored. */
  problems: v.array(v.strictObject({ path: text, message: text })),
  parts: v.array(
    v.strictObject({
      engine,
      name: text,
      /** `error`: there is no verdict. */
      result: v.picklist(["ok", "damaged", "error"]),
      /** False: read to its end, and loaded nowhere; null: neither. */
      loaded: v.nullable(v.boolean()),
      where: nullableText,
      problems: v.array(text),
      counts: amounts,
      breakdown: amounts,
      /** How many of them are as the metadata says. */
      compared: count,
      notes: v.array(text),
      duration_ms: milliseconds,
      error: v.nullable(v.strictObject({ code: errorCode, message: text, hint: nullableText })),
    }),
  ),
  notes: v.array(text),
  /** It stands beside the archive. */
  recorded: v.boolean(),
  /** Of `duration_ms`, reading and comparing the archive. */
  stage_ms: milliseconds,
  duration_ms: milliseconds,
});
