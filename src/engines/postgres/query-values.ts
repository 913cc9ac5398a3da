/** Values of PostgreSQL's text format as JSON can hold them, without loss. */

type Parse = (text: string) => unknown;

const integer: Parse = (text) => (Number.isSafeInteger(Number(text)) ? Number(text) : text);
const float: Parse = (text) => (Number.isFinite(Number(text)) ? Number(text) : text);
/** Its scale is part of the value: `1.10` stays text, as JSON would print 1.1. */
const numeric: Parse = (text) => (JSON.stringify(Number(text)) === text ? Number(text) : text);

/** Parsers by `pg_type.oid`, which never change for built-in types; each with the oid of its array. Every other type stays text. */
const PARSERS: readonly (readonly [type: number, array: number, parse: Parse])[] = [
  [16, 1000, (text) => text === "t"],
  [20, 1016, integer],
  [21, 1005, integer],
  [23, 1007, integer],
  [26, 1028, integer],
  [700, 1021, float],
  [701, 1022, float],
  [1700, 1231, numeric],
  [114, 199, jsonValue],
  [3802, 3807, jsonValue],
];

/** Arrays of types whose values stay text: bytea, char, name, text, bpchar, varchar, date, times, interval, inet, cidr, uuid, regclass. */
const TEXT_ARRAYS = [
  1001, 1002, 1003, 1009, 1014, 1015, 1182, 1183, 1270, 1115, 1185, 1187, 1041, 651, 2951, 2210,
];

const BY_TYPE: ReadonlyMap<number, Parse> = new Map([
  ...PARSERS.map(([type, , parse]) => [type, parse] as const),
  ...PARSERS.map(([, array, parse]) => [array, (text: string) => arrayOf(text, parse)] as const),
  ...TEXT_ARRAYS.map((array) => [array, (text: string) => arrayOf(text, (one) => one)] as const),
]);

/**
 * A value as the server wrote it. `numeric` is a number only where JSON prints it with the very same characters, else text (`"1.10"`,
 * `"100000.0000"`); integers beyond 2^53, NaN and Infinity stay text, bytes are `\x…`.
 */
export function jsonOf(text: string | null, type: number): unknown {
  if (text === null) return null;
  const parse = BY_TYPE.get(type);
  return parse ? parse(text) : text;
}

/** Integers beyond 2^53 are text here, too. */
function jsonValue(text: string): unknown {
  // since Node 21 a reviver is told how a number was written
  const reviver = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? (context?.source ?? value)
      : value;
  const value: unknown = JSON.parse(text, reviver as (key: string, value: unknown) => unknown);
  return value;
}

/** `{1,NULL,"a,b"}`, nested too; `[2:3]={1,2}` loses its bounds. */
function arrayOf(text: string, parse: Parse): unknown[] {
  let at = text.indexOf("{");
  const quoted = () => {
    let value = "";
    for (at += 1; text[at] !== '"'; at++) {
      if (text[at] === "\\") at += 1;
      value += text[at];
    }
    at += 1;
    return parse(value);
  };
  const bare = () => {
    const start = at;
    while (text[at] !== "," && text[at] !== "}") at += 1;
    const value = text.slice(start, at);
    return value === "NULL" ? null : parse(value);
  };
  const list = (): unknown[] => {
    const values: unknown[] = [];
    for (at += 1; text[at] !== "}"; ) {
      if (text[at] === ",") at += 1;
      else values.push(text[at] === "{" ? list() : text[at] === '"' ? quoted() : bare());
    }
    at += 1;
    return values;
  };
  return list();
}
