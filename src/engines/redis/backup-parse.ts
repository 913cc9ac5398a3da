import type { ParseFile } from "../../backup/port.ts";
import { throwIfAborted } from "../../call.ts";
import { RdbParser } from "./rdb-parser.ts";

/** Reads a whole RDB file: its structure, its checksum, and how many keys of which type each database has. */
export const parseRdb: ParseFile = async (call, file) => {
  const parser = new RdbParser(file.path);
  let done = 0;
  for await (const chunk of file.content) {
    throwIfAborted(call);
    parser.push(chunk);
    done += chunk.length;
    call.progress({ label: file.path, done, total: file.size_bytes, unit: "bytes" });
  }
  parser.end();
  return { counts: parser.counts.totals(), breakdown: parser.counts.breakdown() };
};
