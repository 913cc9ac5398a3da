/** Longest request of a replica that is asking for a file, and most words in it. */
const MAX_BYTES = 16 << 10;
const MAX_WORDS = 32;

/** What a replica asks, as it comes: arrays of texts in RESP, or plain lines. */
export class RequestParser {
  #text = "";

  /** The requests that are whole now, each with at least one word; null: that is none, or too long. */
  push(chunk: Buffer): string[][] | null {
    // one character a byte
    this.#text += chunk.toString("latin1");
    const requests: string[][] = [];
    for (;;) {
      const request = this.#next();
      if (request === null) return null;
      if (request === undefined) return this.#text.length > MAX_BYTES ? null : requests;
      if (request.length > 0) requests.push(request);
    }
  }

  /** Undefined: it is not whole yet. */
  #next(): string[] | null | undefined {
    const first = this.#line(0);
    if (first === undefined) return undefined;
    if (!first.line.startsWith("*")) {
      this.#text = this.#text.slice(first.next);
      return first.line.split(" ").filter((word) => word !== "");
    }
    const count = Number(first.line.slice(1));
    if (!(count >= 1 && count <= MAX_WORDS)) return null;
    const words: string[] = [];
    let at = first.next;
    while (words.length < count) {
      const head = this.#line(at);
      if (head === undefined) return undefined;
      const length = /^\$\d{1,5}$/.test(head.line) ? Number(head.line.slice(1)) : Number.NaN;
      if (!(length <= MAX_BYTES)) return null;
      at = head.next + length + 2;
      if (this.#text.length < at) return undefined;
      words.push(this.#text.slice(head.next, head.next + length));
    }
    this.#text = this.#text.slice(at);
    return words;
  }

  #line(at: number): { line: string; next: number } | undefined {
    const end = this.#text.indexOf("\n", at);
    if (end < 0) return undefined;
    return { line: this.#text.slice(at, end).replace(/\r$/, ""), next: end + 1 };
  }
}
