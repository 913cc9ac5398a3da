import type { Script, Statement } from "../../migrate/port.ts";
import { type Token, tokenAt } from "./lexer.ts";

/** Something that no server could take, or that is meant for psql. */
export interface Problem {
  /** UTF-16 units. */
  offset: number;
  what: string;
  hint: string;
}

/** The data of `COPY … FROM STDIN`: the lines after it, up to `\.`. Offsets in the text. */
export interface CopyData {
  /** End of the statement itself. */
  sqlEnd: number;
  start: number;
  end: number;
}

/** A statement and what was seen of it on the way. */
export interface Piece extends Statement {
  /** Null: not `COPY … FROM STDIN`. */
  copy: CopyData | null;
  /** `COPY … TO STDOUT`. */
  copiesOut: boolean;
  /** A function whose body is written in SQL: it holds semicolons of its own. */
  isAtomic: boolean;
  problems: Problem[];
}

/** Splits a script at the semicolons that end a statement. Never fails; what the text holds besides is in `problems`. */
export function scanSql(text: string): Piece[] {
  const pieces: Piece[] = [];
  let current = new PieceReader(text);
  for (let at = 0; at < text.length; ) {
    const token = tokenAt(text, at);
    at = token.end;
    if (!current.ends(token)) {
      current.take(token);
      continue;
    }
    const piece = current.finish(token);
    if (piece) {
      pieces.push(piece);
      at = piece.copy ? piece.offset + piece.text.length : at;
    }
    current = new PieceReader(text);
  }
  const last = current.finish(undefined);
  return last ? [...pieces, last] : pieces;
}

const scanned = new WeakMap<Script, readonly Piece[]>();

/** The pieces of a script, which is looked at more than once on its way. */
export function piecesOf(script: Script): readonly Piece[] {
  const known = scanned.get(script) ?? scanSql(script.text);
  scanned.set(script, known);
  return known;
}

export function splitSql(text: string): Statement[] {
  return scanSql(text)
    .map(({ text: statement, offset }) => ({ text: statement, offset }))
    .filter((statement) => statement.text !== "");
}

/** One statement while it is read. */
class PieceReader {
  readonly #text: string;
  /** Of the tokens that count. */
  #start = -1;
  #end = -1;
  /** The first words, to tell what it is; later ones do not matter. */
  readonly #head: string[] = [];
  #lastWord = "";
  #parentheses = 0;
  /** BEGIN ATOMIC and CASE that wait for their END. */
  #blocks = 0;
  #isAtomic = false;
  #copies: "in" | "out" | null = null;
  readonly #problems: Problem[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  ends({ kind, start }: Token): boolean {
    return kind === "symbol" && this.#text[start] === ";" && this.#parentheses === 0 && this.#blocks === 0;
  }

  take(token: Token): void {
    const { kind, start, end, isClosed } = token;
    if (!isClosed) this.#problems.push(unclosed(this.#text, token));
    if (kind === "space" || kind === "comment") return;
    if (this.#start < 0) this.#start = start;
    this.#end = end;
    const text = kind === "word" ? this.#text.slice(start, end).toLowerCase() : this.#text[start]!;
    if (kind === "word") this.#takeWord(text);
    else if (kind === "symbol") this.#takeSymbol(text, start);
    this.#lastWord = text;
  }

  #takeWord(word: string): void {
    if (this.#head.length < 4) this.#head.push(word);
    const before = this.#lastWord;
    if (word === "atomic" && before === "begin" && this.#makesRoutine() && this.#parentheses === 0) {
      this.#isAtomic = true;
      this.#blocks += 1;
    } else if (this.#blocks > 0 && before !== "." && before !== "as") {
      // behind a dot and AS they are names
      if (word === "case") this.#blocks += 1;
      if (word === "end") this.#blocks -= 1;
    }
    if (this.#head[0] === "copy" && this.#parentheses === 0 && (word === "stdin" || word === "stdout")) {
      if (before === "from") this.#copies = "in";
      if (before === "to") this.#copies = "out";
    }
  }

  #takeSymbol(symbol: string, offset: number): void {
    if (symbol === "(") this.#parentheses += 1;
    if (symbol === ")") this.#parentheses = Math.max(0, this.#parentheses - 1);
    if (symbol === "\\") this.#problems.push(clientCommand(this.#text, offset));
  }

  #makesRoutine(): boolean {
    const [verb, ...rest] = this.#head;
    const object = rest[0] === "or" && rest[1] === "replace" ? rest[2] : rest[0];
    return verb === "create" && (object === "function" || object === "procedure");
  }

  /** Null: there was nothing but white space and comments. */
  finish(semicolon: Token | undefined): Piece | null {
    if (this.#start < 0 && this.#problems.length === 0) return null;
    if (this.#start < 0) this.#start = this.#end = this.#problems[0]!.offset;
    if (this.#blocks > 0) this.#problems.push(endless(this.#start));
    const copy = this.#copies === "in" ? this.#copyData(semicolon) : null;
    return {
      text: this.#text.slice(this.#start, copy ? copy.end : this.#end),
      offset: this.#start,
      copy,
      copiesOut: this.#copies === "out",
      isAtomic: this.#isAtomic,
      problems: this.#problems,
    };
  }

  /** As psql reads it: from the line after the semicolon to the line `\.`. */
  #copyData(semicolon: Token | undefined): CopyData {
    const text = this.#text;
    const sqlEnd = this.#end;
    const lineEnd = semicolon ? text.indexOf("\n", semicolon.end) : -1;
    const rest = text.slice(semicolon?.end ?? text.length, lineEnd < 0 ? text.length : lineEnd);
    if (rest.trim() !== "") this.#problems.push(besideCopy(semicolon!.end + rest.search(/\S/)));
    const start = lineEnd < 0 ? text.length : lineEnd + 1;
    const end = endOfData(text, start);
    if (end === undefined) this.#problems.push(endlessCopy(this.#start));
    return { sqlEnd, start, end: end ?? text.length };
  }
}

/** Behind the line `\.`, without its line end. */
function endOfData(text: string, start: number): number | undefined {
  for (let at = text.indexOf("\\.", start); at >= 0; at = text.indexOf("\\.", at + 2)) {
    const isLine = (at === start || text[at - 1] === "\n") && (text[at + 2] ?? "\n") === "\n";
    if (isLine) return at + 2;
  }
  return undefined;
}

/** The rows of the data, without the line `\.`. */
export function copiedRows(text: string, { start, end }: CopyData): string {
  return text.slice(start, Math.max(start, end - 2));
}

function unclosed(text: string, { kind, start }: Token): Problem {
  const what = kind === "comment" ? "comment" : kind === "name" ? "quoted name" : "string";
  const opening = /^(?:\/\*|\$\w*\$|[^'"]{0,2}['"])/.exec(text.slice(start, start + 70))?.[0] ?? "its quote";
  return { offset: start, what: `this ${what} never ends`, hint: `close what ${opening} opens` };
}

function clientCommand(text: string, offset: number): Problem {
  const command = /^\\\S*/.exec(text.slice(offset, offset + 30))![0];
  const isOfDump = /^\\(?:un)?restrict$/.test(command);
  return {
    offset,
    what: `${command} is a command of psql, not SQL`,
    hint: isOfDump
      ? "delete the lines \\restrict and \\unrestrict: pg_dump writes them for psql alone"
      : "write it as SQL, or take it out",
  };
}

function endless(offset: number): Problem {
  return { offset, what: "this BEGIN ATOMIC has no END", hint: "close the body with END;" };
}

function endlessCopy(offset: number): Problem {
  return { offset, what: "the data of this COPY never ends", hint: "end it with a line that holds only \\." };
}

function besideCopy(offset: number): Problem {
  return {
    offset,
    what: "text on the line of COPY … FROM STDIN: its data begins on the next line",
    hint: "put it behind the line \\.",
  };
}
