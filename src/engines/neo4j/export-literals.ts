/** Values of properties as Cypher literals. */
import { Float, Malformed, type Structure, type Unpacked } from "./bolt-unpack.ts";

const DAY_SECONDS = 86_400n;
const NANO = 1_000_000_000n;

/** A literal cannot say it: byte arrays have none. */
export class NoLiteral extends Error {}

/** @throws NoLiteral for bytes, Malformed for what no property can be */
export function literal(value: Unpacked): string {
  if (typeof value === "string") return textLiteral(value);
  if (typeof value === "boolean" || typeof value === "number" || typeof value === "bigint")
    return String(value);
  if (value instanceof Float) return floatLiteral(value.value);
  if (Array.isArray(value)) return `[${value.map(literal).join(",")}]`;
  if (value instanceof Uint8Array) throw new NoLiteral("bytes");
  if (value === null || value instanceof Map) throw new Malformed("a property is null or a map");
  return structureLiteral(value);
}

/**
 * Neo4j evaluates \uXXXX before it reads strings, so an escaped backslash must not stand before a u. Other control characters than those that
 * have a letter may stand as they are, but no editor shows them.
 */
function textLiteral(text: string): string {
  const escaped = text
    .replaceAll("\\", "\\\\")
    .replaceAll("'", "\\'")
    .replaceAll("\n", "\\n")
    .replaceAll("\r", "\\r")
    .replaceAll("\t", "\\t")
    .replace(/[\0-\x1f\x7f-\x9f\u2028\u2029]/g, unicode)
    .replaceAll("\\\\u", "\\\\' + 'u");
  return `'${escaped}'`;
}

/** A name between backticks. Neo4j evaluates \uXXXX there too: a backslash is written as one. */
export function nameLiteral(name: string): string {
  return `\`${withoutBackslash(name)
    .replaceAll("`", "``")
    .replace(/[\0-\x1f]/g, unicode)}\``;
}

/** A statement as the server tells it, whose names may have backslashes. */
export function withoutBackslash(text: string): string {
  return text.replaceAll("\\", "\\u005C");
}

function unicode(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function floatLiteral(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const text = Object.is(value, -0) ? "-0" : String(value).replace("e+", "e");
  return Number.isInteger(value) && !text.includes("e") ? `${text}.0` : text;
}

function structureLiteral({ tag, fields }: Structure): string {
  const whole = (i: number) => integerOf(fields[i]);
  switch (tag) {
    case 0x44:
      return `date('${isoDate(whole(0))}')`;
    case 0x74:
      return `localtime('${isoTime(whole(0))}')`;
    case 0x54:
      return `time({time: localtime('${isoTime(whole(0))}'), timezone: '${isoOffset(whole(1))}'})`;
    case 0x64:
      return `localdatetime('${isoDateTime(whole(0), whole(1))}')`;
    case 0x49:
      return zoned(whole(0), whole(1), isoOffset(whole(2)));
    case 0x69:
      return zoned(whole(0), whole(1), String(fields[2]));
    case 0x45:
      return `duration({months: ${whole(0)}, days: ${whole(1)}, seconds: ${whole(2)}, nanoseconds: ${whole(3)}})`;
    case 0x58:
    case 0x59:
      return pointLiteral(fields);
    default:
      throw new Malformed(
        `a property is of a type that this opsctl does not know (structure ${tag.toString(16)})`,
      );
  }
}

/** The instant in UTC, seen in its zone: the local time and a zone's name would be ambiguous for an hour of each year. */
function zoned(seconds: bigint, nanoseconds: bigint, zone: string): string {
  return `datetime({datetime: datetime('${isoDateTime(seconds, nanoseconds)}Z'), timezone: ${textLiteral(zone)}})`;
}

function pointLiteral([srid, ...coordinates]: Unpacked[]): string {
  const values = coordinates.map((value, i) => `${"xyz"[i]}: ${literal(value)}`);
  return `point({srid: ${integerOf(srid)}, ${values.join(", ")}})`;
}

function integerOf(value: Unpacked | undefined): bigint {
  if (typeof value === "number" || typeof value === "bigint") return BigInt(value);
  throw new Malformed("a date, a duration or a point has a part that is no integer");
}

function isoDateTime(seconds: bigint, nanoseconds: bigint): string {
  const day = floorDivide(seconds, DAY_SECONDS);
  return `${isoDate(day)}T${isoTime((seconds - day * DAY_SECONDS) * NANO + nanoseconds)}`;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms"). */
function isoDate(days: bigint): string {
  const shifted = days + 719_468n;
  const era = floorDivide(shifted, 146_097n);
  const dayOfEra = shifted - era * 146_097n;
  const yearOfEra = (dayOfEra - dayOfEra / 1_460n + dayOfEra / 36_524n - dayOfEra / 146_096n) / 365n;
  const dayOfYear = dayOfEra - (365n * yearOfEra + yearOfEra / 4n - yearOfEra / 100n);
  const shiftedMonth = (5n * dayOfYear + 2n) / 153n;
  const day = dayOfYear - (153n * shiftedMonth + 2n) / 5n + 1n;
  const month = shiftedMonth < 10n ? shiftedMonth + 3n : shiftedMonth - 9n;
  const year = yearOfEra + era * 400n + (month <= 2n ? 1n : 0n);
  const digits = String(year < 0n ? -year : year).padStart(4, "0");
  const sign = year < 0n ? "-" : year > 9_999n ? "+" : "";
  return `${sign}${digits}-${two(month)}-${two(day)}`;
}

function isoTime(nanoseconds: bigint): string {
  const seconds = nanoseconds / NANO;
  const fraction = nanoseconds % NANO;
  const time = `${two(seconds / 3_600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`;
  return fraction === 0n ? time : `${time}.${String(fraction).padStart(9, "0")}`;
}

function isoOffset(seconds: bigint): string {
  const amount = seconds < 0n ? -seconds : seconds;
  const rest = amount % 60n === 0n ? "" : `:${two(amount % 60n)}`;
  return `${seconds < 0n ? "-" : "+"}${two(amount / 3_600n)}:${two((amount / 60n) % 60n)}${rest}`;
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b;
  return a % b < 0n ? quotient - 1n : quotient;
}

function two(value: bigint): string {
  return String(value).padStart(2, "0");
}
