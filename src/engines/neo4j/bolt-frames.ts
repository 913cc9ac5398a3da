import { Malformed } from "./bolt-unpack.ts";

/** A node with all of its properties is one message. */
export const MAX_MESSAGE_BYTES = 256 << 20;

/**
 * Messages out of the chunks in which Bolt sends them (two bytes of length, then the bytes; an empty chunk ends a message). A message that
 * lies in one chunk is not copied.
 */
export class Frames {
  /** Where the message lies that `next` found; until the next `next`. */
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  end = 0;
  #read: Buffer = Buffer.alloc(0);
  #at = 0;
  /** Chunks of a message that is not whole yet. */
  #parts: Buffer[] = [];
  #length = 0;

  /** More of what the socket gave. */
  push(bytes: Buffer): void {
    const rest = this.#read.subarray(this.#at);
    this.#read = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    this.#at = 0;
  }

  /** False: not all of the next message is here. @throws Malformed */
  next(): boolean {
    for (;;) {
      const read = this.#read;
      const at = this.#at;
      if (at + 2 > read.length) return false;
      const size = (read[at]! << 8) | read[at + 1]!;
      if (size === 0) {
        this.#at = at + 2;
        // between messages an empty chunk only keeps the connection alive
        if (this.#length > 0) return this.#join();
        continue;
      }
      const end = at + 2 + size;
      if (this.#length === 0 && read[end] === 0 && read[end + 1] === 0) {
        this.#at = end + 2;
        this.bytes = read;
        this.start = at + 2;
        this.end = end;
        return true;
      }
      if (end > read.length) return false;
      this.#keep(read.subarray(at + 2, end));
      this.#at = end;
    }
  }

  /** Whether there are bytes of a message whose end has not come. */
  get isInMessage(): boolean {
    return this.#length > 0 || this.#at < this.#read.length;
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > MAX_MESSAGE_BYTES)
      throw new Malformed(`a message has more than ${MAX_MESSAGE_BYTES} bytes`);
    this.#parts.push(part);
  }

  #join(): true {
    this.bytes = Buffer.concat(this.#parts, this.#length);
    this.start = 0;
    this.end = this.#length;
    this.#parts = [];
    this.#length = 0;
    return true;
  }
}
