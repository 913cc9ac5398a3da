import { createHash } from "node:crypto";

const MODULUS = 1n << 128n;

/**
 * The first 128 bits of the SHA-256 of something. Its parts are told apart by their lengths.
 */
export function hashOf(...parts: (string | Uint8Array)[]): bigint {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  const digest = hash.digest();
  return (digest.readBigUInt64LE(0) << 64n) | digest.readBigUInt64LE(8);
}

/** Digest of things that come in any order: their number and the sum of their hashes. The same thing twice is not the same as once. */
export class Multiset {
  #count = 0;
  #sum = 0n;

  get count(): number {
    return this.#count;
  }

  add(hash: bigint): void {
    this.#count += 1;
    this.#sum = (this.#sum + hash) % MODULUS;
  }

  toString(): string {
    return `${this.#count} ${this.#sum.toString(16).padStart(32, "0")}`;
  }
}

/** Of texts in any order. */
export function digestOf(items: Iterable<string>): string {
  const multiset = new Multiset();
  for (const item of items) multiset.add(hashOf(item));
  return String(multiset);
}
