/** Reads the SQL that pg_restore and pg_dumpall write, as it passes: from its first line to its last, counting the rows. */
import { OpsError } from "../../errors.ts";
import { unquoted } from "./quoting.ts";

const LINE_END = 10;
const BACKSLASH = 92;
const DOT = 46;
/** Longer lines are values, which are of no interest. */
const MAX_LINE = 1 << 20;
/** The last line that `\restrict` may be on: it comes before every name. */
const KEY_LINE = 5;
const COPY = /^COPY ("(?:[^"]|"")*"|[^\s".]+)\.("(?:[^"]|"")*"|[^\s".(]+) /;
const COPY_END = " FROM stdin;";

/** `PostgreSQL database dump`, or that of a cluster: what the first comment says, and the last one with `complete`. */
export type ScriptTitle = "PostgreSQL database dump" | "PostgreSQL database cluster dump";

export class ScriptReader {
  /** By `schema.table`. */
  readonly rows: Record<string, number> = {};
  largeObjects = 0;
  readonly #title: ScriptTitle;
  readonly #onLine: (line: string, number: number) => void;
  #lines = 0;
  /** Of a line that is not whole yet: its pieces, or within rows its first bytes. */
  #pieces: Buffer[] = [];
  #length = 0;
  /** The table whose rows pass. */
  #table: string | undefined;
  #tableRows = 0;
  /** A comment has announced rows. */
  #isAnnounced = false;
  /** Lines of a COPY statement: a column may have a line end in its name. */
  #statement: string | undefined;
  #isComplete = false;
  /** Of `\restrict`, which psql takes back at the end only. */
  #key: string | undefined;

  /** @param onLine receives each line outside of rows, as latin1 */
  constructor(title: ScriptTitle, onLine: (line: string, number: number) => void = () => {}) {
    this.#title = title;
    this.#onLine = onLine;
  }

  /** @throws OpsError `integrity` naming the line */
  push(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < chunk.length; ) {
      if (this.#table !== undefined && this.#length === 0) at = this.#passRows(chunk, at);
      if (at >= chunk.length) return;
      const end = chunk.indexOf(LINE_END, at);
      this.#keep(chunk.subarray(at, end === -1 ? chunk.length : end));
      if (end === -1) return;
      at = end + 1;
      this.#endLine();
    }
  }

  /** All bytes have come. @throws OpsError `integrity` when that was not all, or more */
  end(): void {
    if (this.#length > 0) this.#endLine();
    if (this.#table !== undefined)
      throw this.#broken(`the script is cut off within the rows of ${this.#table}`);
    if (!this.#isComplete || this.#key !== undefined)
      throw this.#broken(`the script does not end with "${this.#title} complete"`);
  }

  /** Counts the rows that lie in the chunk as a whole. @returns where the first line begins that is something else */
  #passRows(chunk: Buffer, from: number): number {
    let at = from;
    let count = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_END, at);
      if (end === -1 || (end - at === 2 && chunk[at] === BACKSLASH && chunk[at + 1] === DOT)) break;
      count++;
      at = end + 1;
    }
    this.#tableRows += count;
    this.#lines += count;
    return at;
  }

  /** Keeps what is needed of a line that is not whole yet. */
  #keep(piece: Buffer): void {
    const limit = this.#table === undefined ? MAX_LINE : 3;
    if (this.#length < limit && piece.length > 0) {
      // a copy of what is short: a piece would keep its whole chunk
      this.#pieces.push(piece.length < 4096 ? Buffer.from(piece) : piece);
    }
    this.#length += piece.length;
  }

  #endLine(): void {
    const length = this.#length;
    const line = Buffer.concat(length > MAX_LINE ? [] : this.#pieces);
    this.#pieces = [];
    this.#length = 0;
    this.#lines++;
    if (this.#table === undefined) this.#outside(line);
    else if (length === 2 && line.toString("latin1") === "\\.") this.#endTable(this.#table);
    else this.#tableRows++;
  }

  #endTable(table: string): void {
    this.rows[table] = (this.rows[table] ?? 0) + this.#tableRows;
    this.#table = undefined;
    this.#tableRows = 0;
  }

  #outside(bytes: Buffer): void {
    const line = bytes.toString("latin1");
    if (this.#lines === 1 && line !== "--") throw this.#notAScript();
    if (this.#lines === 2 && line !== `-- ${this.#title}`) throw this.#notAScript();
    if (this.#statement !== undefined || (this.#isAnnounced && line.startsWith("COPY "))) {
      this.#copyStatement(bytes.toString("utf8"));
      return;
    }
    if (line === `-- ${this.#title} complete`) this.#isComplete = true;
    else if (line === `\\unrestrict ${this.#key}`) this.#key = undefined;
    else if (line !== "" && line !== "--") {
      this.#isComplete = false;
      this.#isAnnounced = line.startsWith("-- Data for Name: ") && line.includes("; Type: TABLE DATA; ");
      if (this.#lines <= KEY_LINE) this.#key = /^\\restrict (\S+)$/.exec(line)?.[1];
    }
    if (line.startsWith("SELECT pg_catalog.lo_open(")) this.largeObjects++;
    this.#onLine(line, this.#lines);
  }

  #copyStatement(line: string): void {
    this.#statement = this.#statement === undefined ? line : `${this.#statement}\n${line}`;
    if (this.#statement.length > MAX_LINE) throw this.#broken("a COPY statement does not end");
    if (!this.#statement.endsWith(COPY_END)) return;
    const names = COPY.exec(this.#statement);
    if (!names) throw this.#broken("a COPY statement names no table");
    this.#table = `${unquoted(names[1]!)}.${unquoted(names[2]!)}`;
    this.#statement = undefined;
    this.#isAnnounced = false;
  }

  #notAScript(): OpsError {
    return this.#broken(`the script does not begin with "${this.#title}"`);
  }

  #broken(what: string): OpsError {
    return new OpsError({ code: "integrity", engine: "postgres", message: `${what} (line ${this.#lines})` });
  }
}
