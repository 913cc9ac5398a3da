import { isUtf8 } from "node:buffer";
import { createReadStream, statSync } from "node:fs";
import type { Call } from "../call.ts";
import { usageError } from "../errors.ts";
import type { InputLine } from "../memory/import.ts";
import { stdin } from "./command.ts";

/** A line longer than this is no event: two texts of 1 MiB each, JSON escapes included. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
const LINE_FEED = 10;

/**
 * Lines of a file, or of stdin for `-`, without line ends and byte order mark, in constant memory. A line that is not valid UTF-8 (decoding
 * would change it) or longer than 16 MiB comes as a defect; the others are not kept by it.
 * @throws OpsError `usage` for a file that cannot be read and for a directory
 */
export async function* readLines(call: Call, file: string, field: string): AsyncGenerator<InputLine> {
  const stream = file === "-" ? stdin(call) : openFile(file, field);
  let rest: Buffer = Buffer.alloc(0);
  /** Bytes of a line that is too long, so far; 0: none. */
  let dropped = 0;
  let isFirst = true;
  const finish = (end: Buffer): InputLine => {
    const line = dropped > 0 ? tooLong(dropped + end.length) : decode(end, isFirst);
    isFirst = false;
    dropped = 0;
    return line;
  };
  try {
    for await (const chunk of stream) {
      const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let start = 0;
      for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
        yield finish(bytes.subarray(start, end));
        start = end + 1;
      }
      rest = bytes.subarray(start);
      if (rest.length <= MAX_LINE_BYTES && dropped === 0) continue;
      dropped += rest.length;
      rest = Buffer.alloc(0);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code === "string" && /^E[A-Z]+$/.test(code)) throw unreadable(file, field, code);
    throw error;
  }
  if (rest.length > 0 || dropped > 0) yield finish(rest);
}

function decode(line: Buffer, isFirst: boolean): InputLine {
  const text = line.toString("utf8").replace(/\r$/, "");
  if (!isUtf8(line)) return { defect: "not valid UTF-8", text, bytes: line.length };
  return isFirst ? text.replace(/^\uFEFF/, "") : text;
}

function tooLong(bytes: number): InputLine {
  return { defect: `longer than ${MAX_LINE_BYTES / 1024 / 1024} MiB`, text: "", bytes };
}

function openFile(file: string, field: string) {
  try {
    if (statSync(file).isDirectory())
      throw usageError(`${field}: ${file} is a directory`, "name a file, or - for stdin");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code?.startsWith("E")) throw unreadable(file, field, code);
    throw error;
  }
  return createReadStream(file, { highWaterMark: 256 * 1024 });
}

function unreadable(file: string, field: string, code: string) {
  const why = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
  return usageError(`${field}: ${file}: ${why}`, "name a readable file, or - for stdin");
}
