/** Bytes of a stream in the portions that a format asks for. */
export class ByteQueue {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #waiting: Buffer[] = [];
  #length = 0;
  /** Bytes taken so far. */
  position = 0;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `count` bytes, fewer at the end; they stay in the queue. */
  async peek(count: number): Promise<Buffer> {
    while (this.#length < count && (await this.#fill())) {
      // until there is enough
    }
    const first = this.#waiting[0];
    if (first === undefined) return Buffer.alloc(0);
    if (first.length < count && this.#waiting.length > 1) this.#waiting = [Buffer.concat(this.#waiting)];
    return this.#waiting[0]!.subarray(0, count);
  }

  /** The next `count` bytes, fewer at the end. */
  async take(count: number): Promise<Buffer> {
    const bytes = await this.peek(count);
    this.#drop(bytes.length);
    return bytes;
  }

  /** What comes next, at most `max` bytes, as it came; undefined at the end. */
  async some(max: number): Promise<Buffer | undefined> {
    if (this.#length === 0 && !(await this.#fill())) return undefined;
    const bytes = this.#waiting[0]!.subarray(0, max);
    this.#drop(bytes.length);
    return bytes;
  }

  /** Ends the stream behind it. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done) return false;
      if (value.length === 0) continue;
      this.#waiting.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      this.#length += value.length;
      return true;
    }
  }

  /** Of the first chunk, or of all of it. */
  #drop(count: number): void {
    this.position += count;
    this.#length -= count;
    const first = this.#waiting[0];
    if (first === undefined) return;
    if (first.length === count) this.#waiting.shift();
    else this.#waiting[0] = first.subarray(count);
  }
}
