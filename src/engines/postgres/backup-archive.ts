/**
 * Reads pg_dump's custom format as it passes: from the first byte to the last, which pg_restore does not do (it stops behind the last block it
 * wants, and its list mode reads the table of contents only). Counts what is in it. Layout: PostgreSQL's pg_backup_archiver.c (WriteHead,
 * WriteToc) and pg_backup_custom.c, the same from PostgreSQL 12 to 19.
 */
import { OpsError } from "../../errors.ts";
import { Feed, INT_BYTES, type Steps } from "./backup-feed.ts";
import { countLines, END_LINES, END_OF_ROWS, passPieces } from "./backup-rows.ts";

/** Archive versions whose layout is known: 1.14 (PostgreSQL 12 to 15), 1.15 (16), 1.16 (17 to 19). */
const OLDEST = 14;
const NEWEST = 16;
/** The format's number of the custom one. */
const CUSTOM = 1;
const BLOCK_DATA = 1;
const BLOCK_LARGE_OBJECTS = 3;
/** A name has 63 bytes; comments of several names have some hundred. */
const MAX_NAME = 65_536;
/** PostgreSQL allocates no more for one value, a row as text included. */
const MAX_VALUE = 1 << 30;
const OFFSET_BYTES = 8;

/** What a dump holds. */
export interface DumpContent {
  tables: number;
  /** By `schema.table`; undefined: the dump is compressed. */
  rows: Record<string, number> | undefined;
  largeObjects: number;
}

interface Entry {
  /** `schema.table`; undefined when it is something else. */
  table: string | undefined;
}

export class DumpReader {
  readonly #feed = new Feed();
  readonly #steps: Steps<never>;
  /** Those of the table of contents whose block has not come yet. */
  readonly #awaited = new Map<number, Entry>();
  readonly #rows: Record<string, number> = {};
  #isKnown = true;
  #isCompressed = false;
  /** Between two blocks: where a dump may end. */
  #mayEnd = false;
  #minor = 0;
  #tables = 0;
  #largeObjects = 0;

  constructor() {
    this.#steps = this.#read();
  }

  /** @throws OpsError `integrity` naming the byte */
  push(chunk: Uint8Array): void {
    if (!this.#isKnown) return;
    this.#feed.push(chunk);
    this.#steps.next();
  }

  /**
   * All bytes have come.
   * @returns undefined when the version is one whose layout is not known
   * @throws OpsError `integrity` when that was not all
   */
  end(): DumpContent | undefined {
    if (!this.#isKnown) return undefined;
    if (!this.#mayEnd) throw this.#broken("the dump is cut off");
    const [missing] = this.#awaited.values();
    if (missing) throw this.#broken(`the dump is cut off before ${missing.table ?? "its large objects"}`);
    const rows = this.#isCompressed ? undefined : this.#rows;
    return { tables: this.#tables, rows, largeObjects: this.#largeObjects };
  }

  *#read(): Steps<never> {
    if (yield* this.#header()) {
      const entries = yield* this.#int();
      for (let index = 0; index < entries; index++) yield* this.#entry();
      for (;;) yield* this.#block();
    }
    this.#isKnown = false;
    for (;;) yield;
  }

  /** @returns whether the layout behind it is known */
  *#header(): Steps<boolean> {
    const feed = this.#feed;
    const magic = yield* feed.take(5);
    if (magic.toString("latin1") !== "PGDMP") throw this.#broken("it is no dump of pg_dump in custom format");
    const major = yield* feed.byte();
    this.#minor = yield* feed.byte();
    yield* feed.byte();
    if (major !== 1 || this.#minor < OLDEST || this.#minor > NEWEST) return false;
    const intBytes = yield* feed.byte();
    const offsetBytes = yield* feed.byte();
    if (intBytes !== INT_BYTES - 1 || offsetBytes !== OFFSET_BYTES)
      throw this.#broken("the sizes of its numbers are wrong");
    if ((yield* feed.byte()) !== CUSTOM) throw this.#broken("it is a dump in another format");
    this.#isCompressed = (this.#minor >= 15 ? yield* feed.byte() : yield* this.#int()) !== 0;
    // seconds to years of its making, and whether that was summer time
    for (let field = 0; field < 7; field++) yield* this.#int();
    // database, versions of server and pg_dump
    for (let field = 0; field < 3; field++) yield* this.#skipText();
    return true;
  }

  *#entry(): Steps<void> {
    const id = yield* this.#int();
    const hasData = (yield* this.#int()) !== 0;
    yield* this.#skipText();
    yield* this.#skipText();
    const name = yield* this.#text();
    const kind = yield* this.#text();
    yield* this.#int();
    // definition, drop and copy statements
    for (let field = 0; field < 3; field++) yield* this.#skipText();
    const schema = yield* this.#text();
    // tablespace, access method
    for (let field = 0; field < 2; field++) yield* this.#skipText();
    if (this.#minor >= 16) yield* this.#int();
    // owner, oids
    for (let field = 0; field < 2; field++) yield* this.#skipText();
    while (yield* this.#skipText()) {
      // a dependency
    }
    // where its data is, which pg_dump does not know when it writes into a pipe
    yield* this.#feed.skip(1 + OFFSET_BYTES);
    if (kind === "TABLE") this.#tables++;
    if (hasData) this.#awaited.set(id, { table: kind === "TABLE DATA" ? `${schema}.${name}` : undefined });
  }

  *#block(): Steps<void> {
    this.#mayEnd = true;
    const type = yield* this.#feed.byte();
    this.#mayEnd = false;
    if (type !== BLOCK_DATA && type !== BLOCK_LARGE_OBJECTS)
      throw this.#broken("there is something that is no block of data");
    const id = yield* this.#int();
    const entry = this.#awaited.get(id);
    if (!entry) throw this.#broken("there is a block of data that its table of contents does not have");
    this.#awaited.delete(id);
    if (type === BLOCK_LARGE_OBJECTS) yield* this.#objects();
    else if (this.#isCompressed || entry.table === undefined) yield* this.#skipPieces();
    else {
      const rows = yield* this.#tableRows(entry.table);
      this.#rows[entry.table] = (this.#rows[entry.table] ?? 0) + rows;
    }
  }

  *#objects(): Steps<void> {
    while ((yield* this.#int()) !== 0) {
      yield* this.#skipPieces();
      this.#largeObjects++;
    }
  }

  *#skipPieces(): Steps<void> {
    for (;;) {
      const length = yield* this.#length();
      if (length === 0) return;
      yield* this.#feed.skip(length);
    }
  }

  /** Counts line ends: each row has one, and those within values are written as `\n`. */
  *#tableRows(table: string): Steps<number> {
    const feed = this.#feed;
    const end = { lines: 0, last: 0 };
    for (;;) {
      passPieces(feed, end);
      let rest = yield* this.#length();
      if (rest === 0) break;
      while (rest > 0) {
        while (feed.available === 0) yield;
        const step = Math.min(rest, feed.available);
        countLines(feed.chunk, feed.at, feed.at + step, end);
        feed.at += step;
        rest -= step;
      }
    }
    if (end.last !== END_OF_ROWS) throw this.#broken(`the rows of ${table} do not end as they must`);
    return end.lines - END_LINES;
  }

  *#length(): Steps<number> {
    const length = yield* this.#int();
    if (length < 0 || length > MAX_VALUE) throw this.#broken("the length of a piece is impossible");
    return length;
  }

  /** The lowest byte comes first. */
  *#int(): Steps<number> {
    const bytes = yield* this.#feed.take(INT_BYTES);
    const value = bytes.readUInt32LE(1);
    return bytes[0] === 0 ? value : -value;
  }

  *#text(): Steps<string | null> {
    const length = yield* this.#int();
    if (length < 0) return null;
    if (length > MAX_NAME) throw this.#broken(`a name has ${length} bytes`);
    return (yield* this.#feed.take(length)).toString("utf8");
  }

  /** @returns false when there is none */
  *#skipText(): Steps<boolean> {
    const length = yield* this.#int();
    if (length > MAX_VALUE) throw this.#broken("the length of a text is impossible");
    if (length >= 0) yield* this.#feed.skip(length);
    return length >= 0;
  }

  #broken(what: string): OpsError {
    return new OpsError({
      code: "integrity",
      engine: "postgres",
      message: `${what} (byte ${this.#feed.position})`,
    });
  }
}
