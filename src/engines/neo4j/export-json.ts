/**
 * The NDJSON of a graph, one JSON object a line, written from the bytes of Bolt without decoding them into objects:
 *
 *     {"type":"header","format":"opsctl-neo4j","version":1,"database":"neo4j","server_version":"5.26.30"}
 *     {"type":"constraint","name":"issue_id","statement":"CREATE CONSTRAINT …"}
 *     {"type":"index","name":"issue_at","statement":"CREATE RANGE INDEX …"}
 *     {"type":"node","id":7,"labels":["Issue"],"properties":{"title":"disk full","tries":3,"ratio":3.0}}
 *     {"type":"relationship","id":2,"start":7,"end":9,"reltype":"FIXED_BY","properties":{}}
 *     {"type":"footer","nodes":1,"relationships":1,"constraints":1,"indexes":1}
 *
 * in this order. Ids are those of the store, unique among nodes and among relationships; every `start` and `end` is the id of a node above.
 * A property is a JSON string, true, false, a number, an array of those, or an object of one field that says the type:
 *
 *     number without fraction and exponent   integer within ±(2^53 - 1)         {"int":"9007199254740993"}   other integers
 *     number with either                     float, -0.0 included               {"float":"NaN"}              also Infinity, -Infinity
 *     {"date":[days]}                        since 1970-01-01
 *     {"localtime":[nanoseconds]}            since midnight
 *     {"time":[nanoseconds,offset]}          since midnight there; offset from UTC in seconds
 *     {"localdatetime":[seconds,nanoseconds]}    since 1970-01-01T00:00 there
 *     {"datetime":[seconds,nanoseconds,zone]}    since 1970-01-01T00:00Z; zone: offset in seconds, or a name ("Europe/Zurich")
 *     {"duration":[months,days,seconds,nanoseconds]}
 *     {"point":[srid,x,y]}, {"point":[srid,x,y,z]}
 *     {"bytes":"base64"}
 *
 * These are the numbers that Bolt itself uses, so that nothing is converted, here or when it is loaded.
 */
import { type Cursor, Malformed } from "./bolt-unpack.ts";
import type { Passing } from "./export.ts";
import type { JsonSink } from "./export-sink.ts";

export const FORMAT = "opsctl-neo4j";
export const VERSION = 1;

const NODE = 0x4e;
const RELATIONSHIP = 0x52;
const COMMA = 0x2c;
const COLON = 0x3a;
const ascii = (text: string) => Buffer.from(text, "latin1");
const NODE_ID = ascii('{"type":"node","id":');
const LABELS = ascii(',"labels":');
const PROPERTIES = ascii(',"properties":{');
const RELATIONSHIP_ID = ascii('{"type":"relationship","id":');
const START = ascii(',"start":');
const END = ascii(',"end":');
const RELTYPE = ascii(',"reltype":');
const END_OF_LINE = ascii("}}\n");
const TRUE = ascii("true");
const FALSE = ascii("false");
const CLOSE = ascii("]}");
const INT = ascii('{"int":"');
const INT_END = ascii('"}');
const BYTES = ascii('{"bytes":');

/** Structures that are properties (Bolt protocol, "Structure Semantics"): number of fields, how the line begins. */
const TYPES = new Map(
  [
    { tag: 0x44, fields: 1, name: "date" },
    { tag: 0x74, fields: 1, name: "localtime" },
    { tag: 0x54, fields: 2, name: "time" },
    { tag: 0x64, fields: 2, name: "localdatetime" },
    { tag: 0x49, fields: 3, name: "datetime" },
    { tag: 0x69, fields: 3, name: "datetime" },
    { tag: 0x45, fields: 4, name: "duration" },
    { tag: 0x58, fields: 3, name: "point" },
    { tag: 0x59, fields: 4, name: "point" },
  ].map(({ tag, fields, name }) => [tag, { fields, begin: ascii(`{"${name}":[`) }]),
);

/** Writes a node, from a record of one value, unless it came before or is opsctl's own. @throws Malformed */
export function writeNode(record: Cursor, sink: JsonSink, passing: Passing): void {
  if (record.list() !== 1) throw new Malformed("a record of a node has other values");
  const fields = record.structure(NODE);
  if (fields !== 4) throw new Malformed("a node has not four fields");
  const id = idOf(record);
  const group = passing.groups.ofLabels(record);
  if (group.isOwn || !passing.isNewNode(id)) {
    record.at = record.end;
    return;
  }
  group.count += 1;
  sink.raw(NODE_ID);
  sink.integer(id);
  sink.raw(LABELS);
  sink.raw(group.json);
  properties(record, sink);
  // the element id: the store's id with the name of the database
  record.skip(record.text());
}

/** Writes a relationship, from a record of one value, unless it came before or an end of it did not. @throws Malformed */
export function writeRelationship(record: Cursor, sink: JsonSink, passing: Passing): void {
  if (record.list() !== 1) throw new Malformed("a record of a relationship has other values");
  const fields = record.structure(RELATIONSHIP);
  if (fields !== 8) throw new Malformed("a relationship has not eight fields");
  const id = idOf(record);
  const start = idOf(record);
  const end = idOf(record);
  const group = passing.groups.ofType(record);
  if (!passing.isWhole(id, start, end)) {
    record.at = record.end;
    return;
  }
  group.count += 1;
  sink.raw(RELATIONSHIP_ID);
  sink.integer(id);
  sink.raw(START);
  sink.integer(start);
  sink.raw(END);
  sink.integer(end);
  sink.raw(RELTYPE);
  sink.raw(group.json);
  properties(record, sink);
  for (let i = 0; i < 3; i++) record.skip(record.text());
}

function idOf(record: Cursor): number {
  const id = record.int();
  if (id < 0) throw new Malformed("an id is below 0");
  return id;
}

function properties(record: Cursor, sink: JsonSink): void {
  sink.raw(PROPERTIES);
  const count = record.map();
  for (let i = 0; i < count; i++) {
    if (i > 0) sink.byte(COMMA);
    text(record, sink, record.text());
    sink.byte(COLON);
    value(record, sink, true);
  }
  sink.raw(END_OF_LINE);
}

function text(record: Cursor, sink: JsonSink, length: number): void {
  const from = record.skip(length);
  sink.text(record.bytes, from, from + length);
}

/** @param mayBeList a list holds no lists */
function value(record: Cursor, sink: JsonSink, mayBeList: boolean): void {
  const marker = record.byte();
  const high = marker & 0xf0;
  if (marker < 0x80) sink.integer(marker);
  else if (high === 0x80) text(record, sink, marker & 0x0f);
  else if (marker === 0xc1) float(record.float(), sink);
  else if (marker >= 0xd0 && marker <= 0xd2) text(record, sink, record.length(marker, 0x80, 0xd0, "text"));
  else if (marker === 0xc2) sink.raw(FALSE);
  else if (marker === 0xc3) sink.raw(TRUE);
  else if (high === 0xb0) structure(record, sink, marker & 0x0f);
  else if (marker >= 0xcc && marker <= 0xce) bytes(record, sink, marker);
  else if (mayBeList && (high === 0x90 || (marker >= 0xd4 && marker <= 0xd6))) {
    list(record, sink, record.length(marker, 0x90, 0xd4, "list"));
  } else integer(record.integer(marker), sink);
}

function list(record: Cursor, sink: JsonSink, length: number): void {
  sink.byte(0x5b);
  for (let i = 0; i < length; i++) {
    if (i > 0) sink.byte(COMMA);
    value(record, sink, false);
  }
  sink.byte(0x5d);
}

function structure(record: Cursor, sink: JsonSink, fields: number): void {
  const tag = record.byte();
  const type = TYPES.get(tag);
  if (type?.fields !== fields) {
    throw new Malformed(
      `a property is of a type that this opsctl does not know (structure ${tag.toString(16)})`,
    );
  }
  sink.raw(type.begin);
  for (let i = 0; i < fields; i++) {
    if (i > 0) sink.byte(COMMA);
    value(record, sink, false);
  }
  sink.raw(CLOSE);
}

function bytes(record: Cursor, sink: JsonSink, marker: number): void {
  const length = record.length(marker, 0x100, 0xcc, "byte array");
  const from = record.skip(length);
  sink.raw(BYTES);
  sink.base64(record.bytes, from, from + length);
  sink.byte(0x7d);
}

function integer(number: number | bigint, sink: JsonSink): void {
  if (typeof number === "number") {
    sink.integer(number);
    return;
  }
  sink.raw(INT);
  sink.raw(ascii(String(number)));
  sink.raw(INT_END);
}

function float(number: number, sink: JsonSink): void {
  if (Number.isFinite(number)) sink.float(number);
  else sink.raw(ascii(`{"float":"${number}"}`));
}
