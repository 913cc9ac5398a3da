import { createReadStream, statSync } from "node:fs";
import type { Call } from "../call.ts";
import { usageError } from "../errors.ts";
import { stdin } from "./command.ts";

/** A line longer than this is no event: two texts of 1 MiB each, JSON escapes included. */
const MAX_LINE_CHARACTERS = 16 * 1024 * 1024;

/**
 * Lines of a file, or of stdin for `-`, as UTF-8 without line ends, in constant memory.
 * @throws OpsError `usage` for a file that cannot be read, a directory, a line over 16 Mi characters
 */
export async function* readLines(call: Call, file: string, field: string): AsyncGenerator<string> {
  const stream = file === "-" ? stdin(call) : openFile(file, field);
  const decoder = new TextDecoder("utf-8");
  let rest = "";
  try {
    for await (const chunk of stream) {
      const pieces = (rest + decoder.decode(chunk as Buffer, { stream: true })).split("\n");
      rest = pieces.pop()!;
      if (rest.length > MAX_LINE_CHARACTERS) {
        throw usageError(
          `${field}: a line is longer than ${MAX_LINE_CHARACTERS} characters`,
          "write one JSON object a line",
        );
      }
      for (const piece of pieces) yield piece.endsWith("\r") ? piece.slice(0, -1) : piece;
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (typeof code === "string" && /^E[A-Z]+$/.test(code)) throw unreadable(file, field, code);
    throw error;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
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
