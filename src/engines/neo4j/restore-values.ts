/** Properties of export-json.ts as the bytes that Bolt takes: nothing becomes an object, so that 1 and 1.0 stay two values. */
import { LIST_32, MAP_32, type PackSink } from "./bolt-sink.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_MAP = 0x7b;
const CLOSE_MAP = 0x7d;
/** Digits of an integer that is a number exactly, whatever they are. */
const SAFE_DIGITS = 15;

/** Structures by their name in the format (Bolt protocol, "Structure Semantics"); `datetime` and `point` have two, by what they hold. */
const TAGS: Readonly<Record<string, number>> = {
  date: 0x44,
  localtime: 0x74,
  time: 0x54,
  localdatetime: 0x64,
  datetime: 0x49,
  duration: 0x45,
  point: 0x58,
};
const NAMED_ZONE = 0x69;
const POINT_3D = 0x59;

/** A place in the bytes of JSON. All methods throw Error, saying what is wrong, and none reads behind a line's end. */
export class JsonCursor {
  bytes: Buffer = Buffer.alloc(0);
  at = 0;

  /** The next byte that is no space, which it goes past. */
  next(): number {
    const { bytes } = this;
    let byte = bytes[this.at++];
    while (byte === 0x20 || byte === 0x09 || byte === 0x0d) byte = bytes[this.at++];
    return byte ?? 0;
  }

  expect(byte: number): void {
    if (this.next() !== byte) throw new Error(`${JSON.stringify(String.fromCharCode(byte))} is missing`);
  }

  /** Goes past the rest of a string whose quote was read. @returns where its closing quote stands, below 0 when something is escaped in it */
  stringEnd(): number {
    const { bytes } = this;
    let isEscaped = false;
    for (let at = this.at; ; at++) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        this.at = at + 1;
        return isEscaped ? -at : at;
      }
      if (byte === undefined || byte < 0x20) throw new Error("a text has no end");
      if (byte === BACKSLASH) {
        isEscaped = true;
        at += 1;
      }
    }
  }

  /** A short string: a name of the format. */
  name(): string {
    this.expect(QUOTE);
    const from = this.at;
    const end = this.stringEnd();
    return this.bytes.toString("latin1", from, Math.abs(end));
  }

  /** A number, without what follows it. */
  number(first: number): { from: number; isFloat: boolean } {
    const { bytes } = this;
    const from = this.at - 1;
    if (first !== MINUS && !isDigit(first)) throw new Error("a value is of no type of this format");
    let isFloat = false;
    for (;;) {
      const byte = bytes[this.at];
      if (byte === 0x2e || byte === 0x65 || byte === 0x45) isFloat = true;
      else if (!isDigit(byte) && byte !== MINUS && byte !== 0x2b) return { from, isFloat };
      this.at += 1;
    }
  }

  /** A whole number that is an id. */
  id(): number {
    const { from, isFloat } = this.number(this.next());
    const id = Number(this.bytes.toString("latin1", from, this.at));
    if (isFloat || !Number.isSafeInteger(id) || id < 0) throw new Error("an id is no whole number");
    return id;
  }

  /** Goes past any value. */
  skip(): void {
    const first = this.next();
    if (first === QUOTE) this.stringEnd();
    else if (first === OPEN_LIST || first === OPEN_MAP) {
      for (let depth = 1; depth > 0; ) {
        const byte = this.next();
        if (byte === QUOTE) this.stringEnd();
        else if (byte === OPEN_LIST || byte === OPEN_MAP) depth += 1;
        else if (byte === CLOSE_LIST || byte === CLOSE_MAP) depth -= 1;
        else if (byte < 0x20) throw new Error("a value has no end");
      }
    } else if (first < 0x20) throw new Error("a value is missing");
    else while (/[\w.+-]/.test(String.fromCharCode(this.bytes[this.at] ?? 0))) this.at += 1;
  }
}

/** Reads the properties at the cursor and writes them as a map. */
export function packProperties(json: JsonCursor, sink: PackSink): void {
  json.expect(OPEN_MAP);
  const reserved = sink.reserve(MAP_32);
  let count = 0;
  for (let byte = json.next(); byte !== CLOSE_MAP; byte = json.next()) {
    if (count > 0) {
      if (byte !== COMMA) throw new Error("properties have no end");
      byte = json.next();
    }
    if (byte !== QUOTE) throw new Error("a property has no name");
    packText(json, sink);
    json.expect(COLON);
    packValue(json, sink, true);
    count += 1;
  }
  sink.patch(reserved, count);
}

function packValue(json: JsonCursor, sink: PackSink, mayBeList: boolean): void {
  const first = json.next();
  if (first === QUOTE) packText(json, sink);
  else if (first === OPEN_MAP) packTagged(json, sink);
  else if (first === 0x74) packWord(json, sink, "true");
  else if (first === 0x66) packWord(json, sink, "false");
  else if (first === OPEN_LIST && mayBeList) packList(json, sink);
  else packNumber(json, sink, first);
}

function packText(json: JsonCursor, sink: PackSink): void {
  const from = json.at;
  const end = json.stringEnd();
  if (end >= 0) {
    sink.text(json.bytes, from, end);
    return;
  }
  const text = Buffer.from(JSON.parse(json.bytes.toString("utf8", from - 1, 1 - end)) as string, "utf8");
  sink.text(text, 0, text.length);
}

function packWord(json: JsonCursor, sink: PackSink, word: "true" | "false"): void {
  const from = json.at - 1;
  json.at = from + word.length;
  if (json.bytes.toString("latin1", from, json.at) !== word)
    throw new Error("a value is of no type of this format");
  sink.boolean(word === "true");
}

function packList(json: JsonCursor, sink: PackSink): void {
  const reserved = sink.reserve(LIST_32);
  sink.patch(
    reserved,
    items(json, () => packValue(json, sink, false)),
  );
}

/** Reads items up to the end of a list whose bracket was read. @returns how many */
function items(json: JsonCursor, item: (place: number) => void): number {
  if (json.next() === CLOSE_LIST) return 0;
  json.at -= 1;
  for (let count = 1; ; count++) {
    item(count - 1);
    const byte = json.next();
    if (byte === CLOSE_LIST) return count;
    if (byte !== COMMA) throw new Error("a list has no end");
  }
}

function packNumber(json: JsonCursor, sink: PackSink, first: number): void {
  const { from, isFloat } = json.number(first);
  const text = json.bytes.toString("latin1", from, json.at);
  if (isFloat) sink.float(Number(text));
  else if (text.length <= SAFE_DIGITS) sink.integer(Number(text));
  else packInteger(text, sink);
}

function packInteger(text: string, sink: PackSink): void {
  const value = BigInt(text);
  if (BigInt.asIntN(64, value) !== value) throw new Error("an integer has more than 64 bits");
  sink.bigint(value);
}

/** An object of one field that says the type. */
function packTagged(json: JsonCursor, sink: PackSink): void {
  const type = json.name();
  json.expect(COLON);
  if (type === "int") packInteger(json.name(), sink);
  else if (type === "float") sink.float(Number(json.name()));
  else if (type === "bytes") sink.byteArray(Buffer.from(json.name(), "base64"));
  else packStructure(json, sink, type);
  json.expect(CLOSE_MAP);
}

function packStructure(json: JsonCursor, sink: PackSink, type: string): void {
  let tag = TAGS[type];
  if (tag === undefined) throw new Error("a value is of no type of this format");
  json.expect(OPEN_LIST);
  const at = sink.at;
  sink.byte(0xb0);
  sink.byte(tag);
  const fields = items(json, (place) => {
    const from = json.at;
    if (type === "point" && place > 0) packCoordinate(json, sink);
    else packValue(json, sink, false);
    if (type === "datetime" && place === 2 && json.bytes[from] === QUOTE) tag = NAMED_ZONE;
  });
  if (type === "point" && fields === 4) tag = POINT_3D;
  sink.bytes[at] = 0xb0 + fields;
  sink.bytes[at + 1] = tag;
}

/** A float, also when it is written as a whole number. */
function packCoordinate(json: JsonCursor, sink: PackSink): void {
  const first = json.next();
  if (first === OPEN_MAP) {
    packTagged(json, sink);
    return;
  }
  const { from } = json.number(first);
  sink.float(Number(json.bytes.toString("latin1", from, json.at)));
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}
