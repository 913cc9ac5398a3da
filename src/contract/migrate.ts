/** What the subcommands of `migrate` print. */
import * as v from "valibot";
import { count, degraded, engine, milliseconds, nullableText, text, time } from "./common.ts";

const format = v.picklist(["opsctl", "golang-migrate", "dbmate", "diesel"]);
const entryState = v.picklist(["applied", "pending", "reverted", "running", "failed", "edited", "missing"]);
const failure = v.nullable(v.strictObject({ code: text, message: text, hint: nullableText }));

/** Where the files are and where they go. */
const place = { engine, target: text, set: text, format, dir: text };

export const migrated = v.strictObject({
  direction: v.picklist(["up", "down", "redo"]),
  dry_run: v.boolean(),
  changed: v.boolean(),
  engines: v.array(
    v.strictObject({
      ...place,
      status: v.picklist(["migrated", "unchanged", "planned", "failed"]),
      /** What is no migration file: a created database. */
      changes: v.array(v.strictObject({ name: text, before: nullableText, after: nullableText })),
      files: v.array(
        v.strictObject({
          version: text,
          file: text,
          description: text,
          state: v.picklist(["applied", "reverted", "planned"]),
          duration_ms: v.nullable(milliseconds),
          /** Its number is lower than one that was applied before it. */
          late: v.boolean(),
          /** Statements that a broken-off run had done already. */
          resumed_at: count,
          /** With `--dry-run`: what would be sent. */
          statements: v.array(text),
          /** With `--dry-run`: what the server was asked about it (keys that a loop would reach). */
          previews: v.array(text),
        }),
      ),
      /** SQLite: the copy of the file as it was before. */
      copy: nullableText,
      error: failure,
    }),
  ),
});

export const migrationStatus = v.strictObject({
  /** Nothing pending, nothing broken off, no edited or missing file. */
  up_to_date: v.boolean(),
  engines: v.array(
    v.strictObject({
      ...place,
      /** The applied version with the highest number. */
      version: nullableText,
      applied: count,
      pending: count,
      /** Broken off, edited or missing. */
      problems: count,
      /** With `--drift`: whether the schema is the dumped one. */
      drift: v.nullable(v.boolean()),
      migrations: v.array(
        v.strictObject({
          version: text,
          file: text,
          description: text,
          state: entryState,
          late: v.boolean(),
          /** It has a script that rolls it back. */
          reversible: v.boolean(),
          checksum: nullableText,
          statement_index: count,
          applied_at: v.nullable(time),
          applied_at_ms: v.nullable(milliseconds),
          applied_by: nullableText,
          duration_ms: v.nullable(milliseconds),
          tool_version: nullableText,
        }),
      ),
    }),
  ),
  degraded,
});

export const migrationHistory = v.strictObject({
  history: v.array(
    v.strictObject({
      engine,
      set: text,
      version: text,
      file: text,
      description: text,
      state: v.picklist(["running", "applied", "failed", "reverted"]),
      checksum: text,
      statement_index: count,
      applied_at: time,
      applied_at_ms: milliseconds,
      applied_by: text,
      duration_ms: milliseconds,
      tool_version: text,
    }),
  ),
  count,
  degraded,
});

export const verifiedMigrations = v.strictObject({
  ok: v.boolean(),
  engines: v.array(
    v.strictObject({
      ...place,
      checked: count,
      problems: v.array(
        v.strictObject({
          version: nullableText,
          file: text,
          kind: v.picklist(["edited", "missing", "broken", "invalid"]),
          message: text,
        }),
      ),
      /** Of a shipped set: what its verification counted. */
      counts: v.record(text, v.number()),
    }),
  ),
  degraded,
});

export const baselined = v.strictObject({
  ...place,
  changed: v.boolean(),
  /** Another tool's history that was adopted; it was only read. */
  from_history: nullableText,
  adopted: v.array(text),
  pending: v.array(text),
  /** Applied here, and the other tool's history does not list it. */
  unlisted: v.array(text),
  /** The other tool keeps its last version only: what lies below it was taken as applied. */
  guessed: v.boolean(),
});

export const repaired = v.strictObject({
  ...place,
  version: text,
  file: text,
  before: entryState,
  after: entryState,
});

export const newMigration = v.strictObject({ engine, format, version: text, files: v.array(text) });

export const dumped = v.strictObject({
  engine,
  target: text,
  sha256: text,
  schema: text,
  file: nullableText,
});
