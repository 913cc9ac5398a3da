/** Ids of one page: 4,096, that is 512 bytes. */
const PAGE_BITS = 12;
const PAGE_MASK = (1 << PAGE_BITS) - 1;
const PAGE_BYTES = 1 << (PAGE_BITS - 3);
/** 256 MB of pages: two thousand million ids that lie side by side. */
const MAX_PAGES = 1 << 19;

/**
 * A set of ids at one bit each where they lie close together, as those of a store do (it gives freed ones out again); at most 512 bytes each
 * where they do not.
 */
export class IdSet {
  readonly #pages = new Map<number, Uint8Array>();
  #lastHigh = -1;
  #last: Uint8Array | undefined;

  /**
   * False: it was there already.
   * @throws RangeError when the ids lie so far apart that the set would fill the memory
   */
  add(id: number): boolean {
    const page = this.#page(Math.floor(id / (PAGE_MASK + 1))) ?? this.#newPage();
    const low = id & PAGE_MASK;
    const bit = 1 << (low & 7);
    const byte = page[low >> 3]!;
    if ((byte & bit) !== 0) return false;
    page[low >> 3] = byte | bit;
    return true;
  }

  has(id: number): boolean {
    const page = this.#page(Math.floor(id / (PAGE_MASK + 1)));
    if (page === undefined) return false;
    const low = id & PAGE_MASK;
    return (page[low >> 3]! & (1 << (low & 7))) !== 0;
  }

  #page(high: number): Uint8Array | undefined {
    if (high !== this.#lastHigh) {
      this.#last = this.#pages.get(high);
      this.#lastHigh = high;
    }
    return this.#last;
  }

  #newPage(): Uint8Array {
    if (this.#pages.size >= MAX_PAGES) throw new RangeError("the ids lie too far apart");
    const page = new Uint8Array(PAGE_BYTES);
    this.#pages.set(this.#lastHigh, page);
    this.#last = page;
    return page;
  }
}
