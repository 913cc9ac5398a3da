/** What a generator yields when it needs more bytes. */
export type Steps<T> = Generator<void, T, void>;

/** A number in a dump: its sign and four bytes. */
export const INT_BYTES = 5;

/** Bytes that come in chunks, for a parser that is written as a generator. */
export class Feed {
  chunk: Buffer = Buffer.alloc(0);
  /** The next byte in `chunk`. */
  at = 0;
  #before = 0;

  /** Bytes that were read. */
  get position(): number {
    return this.#before + this.at;
  }

  get available(): number {
    return this.chunk.length - this.at;
  }

  /** The chunk before must have been read. */
  push(chunk: Uint8Array): void {
    this.#before += this.chunk.length;
    this.chunk = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.at = 0;
  }

  *byte(): Steps<number> {
    while (this.available === 0) yield;
    return this.chunk[this.at++]!;
  }

  *take(length: number): Steps<Buffer> {
    if (this.available >= length) {
      this.at += length;
      return this.chunk.subarray(this.at - length, this.at);
    }
    const pieces: Buffer[] = [];
    for (let rest = length; rest > 0; ) {
      while (this.available === 0) yield;
      const piece = this.chunk.subarray(this.at, this.at + rest);
      pieces.push(piece);
      this.at += piece.length;
      rest -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  *skip(length: number): Steps<void> {
    for (let rest = length; rest > 0; ) {
      while (this.available === 0) yield;
      const step = Math.min(rest, this.available);
      this.at += step;
      rest -= step;
    }
  }
}
