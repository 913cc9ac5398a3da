/** What `restore` prints; without an archive it prints what `backup list` does. */
import * as v from "valibot";
import { RESTORE_STATES } from "../restore/journal.ts";
import { UNDOS } from "../restore/port.ts";
import { count, engine, milliseconds, nullableText, text } from "./common.ts";

const amount = v.nullable(count);

export const restored = v.strictObject({
  dry_run: v.boolean(),
  /** Null: a dry run. */
  id: nullableText,
  name: text,
  /** Absolute. */
  path: text,
  /** Of the archive, computed; of a folder, of its `metadata.json`. */
  sha256: text,
  /** Why it is taken to be ours: this host made it, its signature is right, or the operator said so. */
  trusted: v.picklist(["catalogue", "signature", "operator"]),
  state: v.picklist(RESTORE_STATES),
  /** False: a part does not hold what the metadata says. */
  ok: v.boolean(),
  parts: v.array(
    v.strictObject({
      engine,
      /** In the target. */
      name: text,
      /** In the archive. */
      source: text,
      target: text,
      /** What is, or was, there; null: the process that began the restore said it. */
      overwrites: nullableText,
      how: text,
      undo: v.picklist(UNDOS),
      /** The copy of what was replaced; null: the part keeps its own, or there was nothing. */
      safety: nullableText,
      /** For how long clients saw neither the old nor the new data; null: not known, or a dry run. */
      outage_ms: v.nullable(milliseconds),
      /** Null: the metadata does not say it, or it was not counted. */
      counts: v.array(v.strictObject({ name: text, expected: amount, found: amount })),
      /** The same by table, database, label, type. */
      breakdown: v.array(v.strictObject({ name: text, expected: amount, found: amount })),
      problems: v.array(text),
      notes: v.array(text),
    }),
  ),
  /** All of them were read and had this digest. */
  files: v.array(v.strictObject({ path: text, size_bytes: count, sha256: text })),
  warnings: v.array(text),
  notes: v.array(text),
  duration_ms: milliseconds,
});

/** `restore --rollback` and `--abort`; also `--resume` of one that was going back. */
export const undoneRestore = v.strictObject({
  id: text,
  name: text,
  state: v.picklist(RESTORE_STATES),
  parts: v.array(v.strictObject({ engine, name: text, undo: v.picklist(UNDOS), state: text })),
  warnings: v.array(text),
  duration_ms: milliseconds,
});

/** `restore --forget`. */
export const forgottenRestores = v.strictObject({
  restores: v.array(v.strictObject({ id: text, name: text })),
  count,
});
