/** Reads what the Neo4j parts wrote, without a server. */
import type { ParseFile, StoredFile } from "../../backup/port.ts";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { MAX_MESSAGE_BYTES } from "./bolt-frames.ts";
import { GraphCheck } from "./export-check.ts";
import { FIRST_LINE, LAST_LINE } from "./export-cypher.ts";

/** JSON needs more than Bolt: base64, and six bytes for a control character at worst. */
const MAX_LINE_BYTES = Math.min(2 * MAX_MESSAGE_BYTES, 0x1fffffe8);
/** How often an abort is looked for. */
const LINES = 1_024;
const NEWLINE = 0x0a;
/** zstd and gzip, and the name that a dump of Neo4j 4 and newer begins with. */
const DUMPS = [Buffer.from("DZV1"), Buffer.from("28b52ffd", "hex"), Buffer.from("1f8b", "hex")];

export const parseNeo4jFile: ParseFile = (call, file) => {
  if (file.kind === "neo4j-ndjson") return parseNdjson(call, file);
  if (file.kind === "neo4j-cypher") return parseCypher(call, file);
  return parseDump(call, file);
};

async function parseNdjson(call: Call, file: StoredFile): ReturnType<ParseFile> {
  const check = new GraphCheck();
  for await (const line of linesOf(call, file)) {
    try {
      check.line(line.text);
    } catch (error) {
      throw damaged(file, `line ${line.number}: ${reasonOf(error)}`, error);
    }
  }
  if (!check.isWhole) throw damaged(file, "it ends without its last line: it was cut off");
  return check.found();
}

/** A syntax error of JSON.parse quotes the text, which is data. */
function reasonOf(error: unknown): string {
  return error instanceof SyntaxError ? "it is no JSON" : (error as Error).message;
}

/** What cypher-shell makes of a script is known when it has run; here it must be whole. */
async function parseCypher(call: Call, file: StoredFile): ReturnType<ParseFile> {
  let last = "";
  for await (const { text, number } of linesOf(call, file)) {
    if (number === 1 && !text.startsWith(FIRST_LINE))
      throw damaged(file, "line 1 is not that of a script of opsctl");
    if (last.startsWith(LAST_LINE))
      throw damaged(file, `line ${number}: something stands behind the last line`);
    last = text;
  }
  if (!last.startsWith(LAST_LINE)) throw damaged(file, "it ends without its last line: it was cut off");
  let counts: unknown;
  try {
    counts = JSON.parse(last.slice(LAST_LINE.length));
  } catch (error) {
    throw damaged(file, "its last line has no counts", error);
  }
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  if (typeof counts !== "object" || counts === null || !Object.values(counts).every(isCount)) {
    throw damaged(file, "its last line has no counts");
  }
  return { counts: counts as Record<string, number>, breakdown: {} };
}

/** Only Neo4j itself can read a dump: here it must begin like one. */
async function parseDump(call: Call, file: StoredFile): ReturnType<ParseFile> {
  let head = Buffer.alloc(0);
  for await (const chunk of file.content) {
    throwIfAborted(call);
    if (head.length < 4) head = Buffer.concat([head, chunk.subarray(0, 8)]);
  }
  if (!DUMPS.some((magic) => head.subarray(0, magic.length).equals(magic))) {
    throw damaged(file, "it does not begin like a dump of neo4j-admin");
  }
  call.log("WARNING", `${file.path}: only neo4j-admin can read a dump; what is in it was not looked at`);
  return { counts: {}, breakdown: {} };
}

async function* linesOf(call: Call, file: StoredFile): AsyncGenerator<{ text: string; number: number }> {
  let parts: Uint8Array[] = [];
  let length = 0;
  let number = 0;
  for await (const chunk of file.content) {
    throwIfAborted(call);
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (;;) {
      const to = bytes.indexOf(NEWLINE, from);
      const part = bytes.subarray(from, to < 0 ? bytes.length : to);
      length += part.length;
      if (length > MAX_LINE_BYTES)
        throw damaged(file, `line ${number + 1} has more than ${MAX_LINE_BYTES} bytes`);
      if (to < 0) {
        if (part.length > 0) parts.push(part);
        break;
      }
      number += 1;
      const line = parts.length === 0 ? part : Buffer.concat([...parts, part]);
      yield { text: line.toString("utf8"), number };
      if (number % LINES === 0) throwIfAborted(call);
      parts = [];
      length = 0;
      from = to + 1;
    }
  }
  if (length > 0) throw damaged(file, `line ${number + 1} has no end: it was cut off`);
}

function damaged(file: StoredFile, what: string, cause?: unknown): OpsError {
  return new OpsError({ code: "integrity", engine: "neo4j", message: `${file.path}: ${what}`, cause });
}
