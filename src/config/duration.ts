import { usageError } from "../errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/**
 * Parses a duration such as `250ms`, `90s`, `60m`, `12h`, `7d` or `2w`.
 * @param field how the message names the value, for example `--since`
 * @returns milliseconds
 * @throws OpsError `usage` for anything else, zero and values over 100 years included
 */
export function parseDuration(text: string, field: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/.exec(text.trim());
  const value = match ? Number(match[1]) * UNIT_MS[match[2]!]! : Number.NaN;
  if (!(value > 0 && value <= 36_525 * UNIT_MS["d"]!)) {
    throw usageError(
      `${field}: "${text}" is not a duration`,
      `use a number with a unit (ms, s, m, h, d, w), for example ${field} 90s or ${field} 7d`,
    );
  }
  return value;
}

const RELATIVE = /^\d+(\.\d+)?(ms|s|m|h|d|w)$/;
/** ISO 8601 date, or date and time; without a zone it is UTC. */
const ISO =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?)?$/;

/**
 * Parses a point in time: RFC 3339, a date, `YYYY-MM-DD HH:MM[:SS][±HH:MM]`, epoch milliseconds, or an age (`7d` = seven
 * days before now).
 * @returns milliseconds since the epoch
 * @throws OpsError `usage` when the text is no such time, a calendar day does not exist, or it lies outside 1970–9999
 */
export function parseTime(text: string, field: string, now: number): number {
  const trimmed = text.trim();
  if (RELATIVE.test(trimmed)) return Math.round(now - parseDuration(trimmed, field));
  const value = /^\d{11,15}$/.test(trimmed) ? Number(trimmed) : parseIso(trimmed);
  if (!Number.isFinite(value) || value < 0 || value > 253_402_300_799_999) {
    throw usageError(
      `${field}: "${text}" is not a time`,
      `use RFC 3339 (2026-01-31T12:00:00Z), a date (2026-01-31), epoch milliseconds, or an age such as 7d`,
    );
  }
  return value;
}

function parseIso(text: string): number {
  const match = ISO.exec(text);
  if (!match) return Number.NaN;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0));
  const fraction = Math.floor(Number(`0.${match[7] ?? "0"}`) * 1000);
  const utc = Date.UTC(year!, month! - 1, day!, hour, minute, second, fraction);
  const parts = new Date(utc);
  // Date.UTC rolls 2026-02-30 over into March, 2026-13 into the next year, and takes the year 26 for 1926; what changed was none.
  const isSame =
    parts.getUTCFullYear() === year &&
    parts.getUTCMonth() === month! - 1 &&
    parts.getUTCDate() === day &&
    parts.getUTCHours() === hour &&
    parts.getUTCMinutes() === minute;
  if (!isSame) return Number.NaN;
  const zone = match[8];
  if (!zone || zone === "Z") return utc;
  const sign = zone.startsWith("-") ? -1 : 1;
  const [zoneHours, zoneMinutes] = [Number(zone.slice(1, 3)), Number(zone.slice(-2))];
  if (zoneHours > 23 || zoneMinutes > 59) return Number.NaN;
  return utc - sign * (zoneHours * 60 + zoneMinutes) * 60_000;
}
