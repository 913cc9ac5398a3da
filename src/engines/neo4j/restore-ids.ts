/** Which id a node of the file has in the database: eight bytes each, in a file where there are too many for the memory. */
import { closeSync, ftruncateSync, openSync, readSync, rmSync, writeSync } from "node:fs";

/** Ids of one page, which is what is read and written at once. */
const PAGE_IDS = 512;
const PAGE_BYTES = 8 * PAGE_IDS;
/** 16 MB: two million ids that lie side by side never touch the disk. */
const PAGES_IN_MEMORY = 4_096;

interface Page {
  ids: Float64Array;
  /** Where it lies in the file, in pages. */
  slot: number;
  /** What is in the file is not (or no more) what is here. */
  isChanged: boolean;
}

/** Ids of the file → ids of the database. Its memory does not grow with the graph, but for a number per 512 ids. */
export class IdMap {
  readonly #path: string;
  readonly #limit: number;
  readonly #slots = new Map<number, number>();
  /** The least recently used first. */
  readonly #pages = new Map<number, Page>();
  #file: number | undefined;
  #last: Page | undefined;
  #lastHigh = -1;

  /** @param path of a file that it makes when it needs one, and removes */
  constructor(path: string, pagesInMemory = PAGES_IN_MEMORY) {
    this.#path = path;
    this.#limit = pagesInMemory;
  }

  set(from: number, to: number): void {
    const page = this.#page(Math.floor(from / PAGE_IDS), true)!;
    // 0 stands for none
    page.ids[from % PAGE_IDS] = to + 1;
    page.isChanged = true;
  }

  /** Undefined: it is not there. */
  get(from: number): number | undefined {
    const id = this.#page(Math.floor(from / PAGE_IDS), false)?.ids[from % PAGE_IDS] ?? 0;
    return id === 0 ? undefined : id - 1;
  }

  close(): void {
    if (this.#file === undefined) return;
    closeSync(this.#file);
    this.#file = undefined;
    rmSync(this.#path, { force: true });
  }

  #page(high: number, mayMake: boolean): Page | undefined {
    if (high === this.#lastHigh) return this.#last;
    let page = this.#pages.get(high);
    if (page) this.#pages.delete(high);
    else page = this.#load(high, mayMake);
    if (!page) return undefined;
    this.#pages.set(high, page);
    this.#last = page;
    this.#lastHigh = high;
    return page;
  }

  #load(high: number, mayMake: boolean): Page | undefined {
    const slot = this.#slots.get(high);
    if (slot === undefined && !mayMake) return undefined;
    const ids = this.#pages.size < this.#limit ? new Float64Array(PAGE_IDS) : this.#evict();
    if (slot === undefined) {
      ids.fill(0);
      this.#slots.set(high, this.#slots.size);
      return { ids, slot: this.#slots.size - 1, isChanged: false };
    }
    readSync(this.#file!, bytesOf(ids), 0, PAGE_BYTES, slot * PAGE_BYTES);
    return { ids, slot, isChanged: false };
  }

  /** Takes the place of the page that was not used for longest. */
  #evict(): Float64Array {
    const [high, page] = this.#pages.entries().next().value as [number, Page];
    this.#pages.delete(high);
    this.#lastHigh = -1;
    if (this.#file === undefined) {
      this.#file = openSync(this.#path, "w+", 0o600);
      ftruncateSync(this.#file, 0);
    }
    if (page.isChanged) writeSync(this.#file, bytesOf(page.ids), 0, PAGE_BYTES, page.slot * PAGE_BYTES);
    return page.ids;
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
