/** Many commands at once over a wire, in RESP2: as objects of ioredis they take several times as long and as much memory. */
import type { Call } from "../../call.ts";
import { foreignReply, replyError, type Wire } from "./backup-wire.ts";
import type { Command } from "./client.ts";

/** A bulk text is a Buffer, a line a string, a refusal an Error. */
export type Reply = Buffer | string | number | null | Error | Reply[];

const CR = 13;
const LINE_END = 2;
const [ARRAY, BULK, NUMBER, LINE, REFUSAL] = Buffer.from("*$:+-");
/** A longer line is none of Redis. */
const MAX_LINE = 64 << 10;

/** Sends all of them and waits for all replies. @throws what the wire and the parser throw */
export async function pipelined(call: Call, wire: Wire, commands: readonly Command[]): Promise<Reply[]> {
  wire.send(encoded(commands));
  const parser = new ReplyParser();
  const replies: Reply[] = [];
  while (replies.length < commands.length) {
    const reply = parser.take();
    if (reply !== undefined) {
      replies.push(reply);
      continue;
    }
    parser.push(await wire.next());
    call.progress({ label: "redis", done: 0, unit: "bytes" });
  }
  return replies;
}

/** All of them, to be sent at once. */
function encoded(commands: readonly Command[]): Buffer {
  const pieces: Buffer[] = [];
  let text = "";
  for (const command of commands) {
    text += `*${command.length}\r\n`;
    for (const word of command) {
      if (typeof word === "string") {
        text += `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
      } else {
        pieces.push(Buffer.from(`${text}$${word.length}\r\n`), word);
        text = "\r\n";
      }
    }
  }
  pieces.push(Buffer.from(text));
  return Buffer.concat(pieces);
}

/** Takes bytes as they come, and allocates for none that have not come. */
class ReplyParser {
  #chunks: Buffer[] = [];
  #waiting = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  /** With fewer bytes than these after `#at` it need not look again. */
  #needed = 1;
  /** Arrays that are not complete, outermost first. */
  readonly #arrays: { items: Reply[]; length: number }[] = [];

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
  }

  /** The next whole reply; undefined: it has not come yet. */
  take(): Reply | undefined {
    while (this.#hasEnough()) {
      const item = this.#item();
      if (item === undefined) continue;
      const reply = this.#settled(item);
      if (reply !== undefined) return reply;
    }
    return undefined;
  }

  #hasEnough(): boolean {
    if (this.#bytes.length - this.#at >= this.#needed) return true;
    if (this.#bytes.length - this.#at + this.#waiting < this.#needed) return false;
    this.#bytes = Buffer.concat([this.#bytes.subarray(this.#at), ...this.#chunks]);
    this.#at = 0;
    this.#chunks = [];
    this.#waiting = 0;
    return true;
  }

  /** An item, or an array that has just begun. Undefined: more bytes are needed, `#needed`. */
  #item(): Reply | undefined {
    const end = this.#bytes.indexOf(CR, this.#at);
    const available = this.#bytes.length - this.#at;
    if (end < 0 || end + LINE_END > this.#bytes.length) {
      if (available > MAX_LINE) throw foreignReply();
      this.#needed = available + 1;
      return undefined;
    }
    const kind = this.#bytes[this.#at];
    const text = this.#bytes.toString("latin1", this.#at + 1, end);
    const start = end + LINE_END;
    if (kind === BULK && text !== "-1") return this.#bulk(start, lengthOf(text));
    this.#moveTo(start);
    if (kind === NUMBER) return Number(text);
    if (kind === LINE) return text;
    if (kind === REFUSAL) return replyError(text);
    if (kind === ARRAY && text !== "-1") {
      this.#arrays.push({ items: [], length: lengthOf(text) });
      return this.#arrays.at(-1)!.items;
    }
    if (kind === ARRAY || kind === BULK) return null;
    throw foreignReply();
  }

  #bulk(start: number, length: number): Buffer | undefined {
    const end = start + length;
    if (end + LINE_END > this.#bytes.length) {
      this.#needed = end + LINE_END - this.#at;
      return undefined;
    }
    this.#moveTo(end + LINE_END);
    return this.#bytes.subarray(start, end);
  }

  #moveTo(at: number): void {
    this.#at = at;
    this.#needed = 1;
  }

  /** Puts an item where it belongs. Undefined: an array around it is not complete. */
  #settled(item: Reply): Reply | undefined {
    let reply = item;
    for (;;) {
      const array = this.#arrays.at(-1);
      if (array === undefined) return reply;
      if (array.items !== reply) array.items.push(reply);
      if (array.items.length < array.length) return undefined;
      reply = array.items;
      this.#arrays.pop();
    }
  }
}

function lengthOf(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw foreignReply();
  return Number(text);
}
