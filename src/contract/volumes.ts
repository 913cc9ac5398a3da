/** What `migrate-volumes` prints. */
import * as v from "valibot";
import { count, engine, errorCode, nullableText, text } from "./common.ts";

export const migratedVolumes = v.strictObject({
  /** Where the folders of the engines are. */
  dir: text,
  dry_run: v.boolean(),
  engines: v.array(
    v.strictObject({
      engine,
      path: text,
      state: v.picklist(["planned", "migrated", "failed"]),
      error: v.nullable(v.strictObject({ code: errorCode, message: text })),
      volumes: v.array(
        v.strictObject({
          name: text,
          path: text,
          /** Null: not copied. The same in the volume and in the copy. */
          files: v.nullable(count),
          folders: v.nullable(count),
          links: v.nullable(count),
          size_bytes: v.nullable(count),
          /** Over path, size and content of every file. */
          sha256: nullableText,
        }),
      ),
      notes: v.array(text),
    }),
  ),
  /** What killed runs had left, and was removed. */
  swept: v.array(text),
});
