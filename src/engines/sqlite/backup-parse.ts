import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { ParseFile } from "../../backup/port.ts";
import { abortError } from "../../call.ts";
import { checkWhile } from "./backup.ts";

/** Writes a SQLite file of a set to a folder and reads every page of it there. @throws OpsError `integrity` naming what is damaged */
export const parseSqlite: ParseFile = async (call, { path, size_bytes: size, content, scratch }) => {
  const copy = join(scratch, "copy.db");
  let done = 0;
  const counted = async function* () {
    for await (const chunk of content) {
      yield chunk;
      done += chunk.length;
      call.progress({ label: `unpacking ${path}`, done, total: size, unit: "bytes" });
    }
  };
  try {
    await pipeline(counted(), createWriteStream(copy, { flags: "wx", mode: 0o600 }), { signal: call.signal });
  } catch (error) {
    if (call.signal.aborted) throw abortError(call.signal.reason);
    throw error;
  }
  const { counts, breakdown } = await checkWhile(call, copy, path, async () => {});
  return { counts, breakdown };
};
