/** The NDJSON of export-json.ts line by line, nodes and relationships with their properties packed for Bolt. */
import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { RestoreFile } from "../../restore/port.ts";
import { PackSink } from "./bolt-sink.ts";
import { JsonCursor, packProperties } from "./restore-values.ts";

const NEWLINE = 0x0a;
const PIECE_BYTES = 1 << 20;

/** One line. What a kind does not have is 0 or empty. It is good until the next line is read. */
export interface GraphLine {
  type: string;
  id: number;
  start: number;
  end: number;
  /** Labels or the type of a relationship as JSON: what lines with equal ones have in common. */
  group: string;
  /** As a map. */
  properties: PackSink;
  /** The line itself, for the few that are neither nodes nor relationships. */
  json(): unknown;
}

/**
 * Calls `take` with every line; when it returns a promise, nothing is read until it resolves. The file was checked before: here only what cannot
 * be packed is found.
 * @throws OpsError `integrity` naming the line
 */
export async function readGraph(
  call: Call,
  file: RestoreFile,
  take: (line: GraphLine) => Promise<void> | undefined,
): Promise<void> {
  const reader = new LineReader();
  let number = 0;
  for await (const block of blocksOf(file.local)) {
    throwIfAborted(call);
    if (!isUtf8(block)) throw damaged(file, number + 1, new Error("there is something that is no UTF-8"));
    reader.block(block);
    while (reader.isInBlock) {
      number += 1;
      try {
        reader.line();
      } catch (error) {
        throw damaged(file, number, error);
      }
      const busy = take(reader);
      if (busy) await busy;
    }
  }
}

/** The lines before the first node, as objects. */
export async function readHead(call: Call, file: RestoreFile): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = [];
  const reader = new LineReader();
  for await (const block of blocksOf(file.local)) {
    throwIfAborted(call);
    reader.block(block);
    while (reader.isInBlock) {
      try {
        reader.line();
        if (["node", "relationship", "footer"].includes(reader.type)) return lines;
        lines.push(reader.json() as Record<string, unknown>);
      } catch (error) {
        throw damaged(file, lines.length + 1, error);
      }
    }
  }
  return lines;
}

/** Whole lines, as many as come at once. */
async function* blocksOf(path: string): AsyncGenerator<Buffer> {
  let parts: Buffer[] = [];
  for await (const chunk of createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>) {
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end === 0) {
      parts.push(chunk);
      continue;
    }
    if (parts.length === 0) yield chunk.subarray(0, end);
    else {
      // what was left of the line before, and the end of that line
      const first = chunk.indexOf(NEWLINE) + 1;
      yield Buffer.concat([...parts, chunk.subarray(0, first)]);
      if (first < end) yield chunk.subarray(first, end);
    }
    parts = end < chunk.length ? [chunk.subarray(end)] : [];
  }
}

class LineReader implements GraphLine {
  type = "";
  id = 0;
  start = 0;
  end = 0;
  group = "";
  readonly properties = new PackSink(4_096);
  readonly #json = new JsonCursor();
  #from = 0;

  get isInBlock(): boolean {
    return this.#json.at < this.#json.bytes.length;
  }

  block(bytes: Buffer): void {
    this.#json.bytes = bytes;
    this.#json.at = 0;
  }

  json(): unknown {
    return JSON.parse(this.#json.bytes.toString("utf8", this.#from, this.#json.at));
  }

  line(): void {
    const json = this.#json;
    this.#from = json.at;
    this.type = "";
    this.properties.clear();
    json.expect(0x7b);
    for (;;) {
      const name = json.name();
      json.expect(0x3a);
      this.#field(name);
      const byte = json.next();
      if (byte === 0x7d) break;
      if (byte !== 0x2c) throw new Error("the line has no end");
    }
    json.expect(NEWLINE);
  }

  #field(name: string): void {
    const json = this.#json;
    if (name === "type") this.type = json.name();
    else if (name === "id") this.id = json.id();
    else if (name === "start") this.start = json.id();
    else if (name === "end") this.end = json.id();
    else if (name === "properties") packProperties(json, this.properties);
    else {
      const from = json.at;
      json.skip();
      if (name === "labels" || name === "reltype") this.group = json.bytes.toString("latin1", from, json.at);
    }
  }
}

function damaged(file: RestoreFile, number: number, error: unknown): OpsError {
  // a syntax error of JSON.parse quotes the text, which is data
  const what = error instanceof SyntaxError ? "it is no JSON" : (error as Error).message;
  return new OpsError({
    code: "integrity",
    engine: "neo4j",
    message: `${file.path}: line ${number}: ${what}`,
    cause: error,
  });
}
