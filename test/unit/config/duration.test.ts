import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseDuration, parseTime } from "../../../src/config/duration.ts";
import { OpsError } from "../../../src/errors.ts";

const NOW = Date.UTC(2026, 2, 15, 12);
const usage = (work: () => unknown): OpsError => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(OpsError);
    expect((error as OpsError).code).toBe("usage");
    return error as OpsError;
  }
  throw new Error("it was accepted");
};

describe("durations", () => {
  test.each([
    ["250ms", 250],
    ["90s", 90_000],
    ["60m", 3_600_000],
    ["1.5h", 5_400_000],
    ["7d", 604_800_000],
    ["2w", 1_209_600_000],
    [" 1s ", 1000],
    ["36525d", 36_525 * 86_400_000],
  ])("%s", (text, ms) => expect(parseDuration(text, "--x")).toBe(ms));

  test.each([
    "",
    "5",
    "s",
    "0s",
    "-1s",
    "1 s",
    "1e3s",
    "1s2",
    "1y",
    "36526d",
    "1S",
    "٣s",
    "∞d",
    `${"9".repeat(400)}d`,
  ])("%j is none; the message names the field and the text, the hint the units", (text) => {
    const { message, hint } = usage(() => parseDuration(text, "--stale"));
    expect(message).toBe(`--stale: "${text}" is not a duration`);
    expect(hint).toContain("ms, s, m, h, d, w");
  });
});

describe("points in time", () => {
  test.each([
    ["2026-01-31T12:00:00Z", Date.UTC(2026, 0, 31, 12)],
    ["2026-01-31", Date.UTC(2026, 0, 31)],
    ["2026-01-31 12:30", Date.UTC(2026, 0, 31, 12, 30)],
    ["2026-01-31T12:30:15.123456Z", Date.UTC(2026, 0, 31, 12, 30, 15, 123)],
    ["2026-01-31T12:00:00+02:00", Date.UTC(2026, 0, 31, 10)],
    ["2026-01-31T12:00:00-0530", Date.UTC(2026, 0, 31, 17, 30)],
    ["2024-02-29", Date.UTC(2024, 1, 29)],
    ["1769860800000", 1_769_860_800_000],
    ["1970-01-01", 0],
    ["9999-12-31T23:59:59.999Z", 253_402_300_799_999],
    ["7d", NOW - 7 * 86_400_000],
    ["90m", NOW - 90 * 60_000],
  ])("%s", (text, ms) => expect(parseTime(text, "--at", NOW)).toBe(ms));

  test.each([
    "",
    "yesterday",
    "2026-02-30",
    "2026-13-01",
    "0099-01-01",
    "2026-00-10",
    "2025-02-29",
    "2026-01-31T24:00:00Z",
    "2026-01-31T12:60:00Z",
    "2026-01-31T12:00:61Z",
    "2026-01-31T12:00:00+24:00",
    "1969-12-31",
    "1970-01-01T00:00:00+01:00",
    "12345",
    "9999999999999999",
    "26-01-31",
    "100y",
    "36526d",
  ])("%j is none", (text) => {
    expect(usage(() => parseTime(text, "--at", NOW)).message).toContain("--at");
  });

  test("what toISOString writes is read back, whatever the zone it is given in", () => {
    const time = fc.integer({ min: 86_400_000, max: 253_402_214_399_999 });
    fc.assert(
      fc.property(time, fc.integer({ min: -14 * 60, max: 14 * 60 }), (ms, zone) => {
        expect(parseTime(new Date(ms).toISOString(), "--at", NOW)).toBe(ms);
        const two = (value: number) => String(value).padStart(2, "0");
        const offset = `${zone < 0 ? "-" : "+"}${two(Math.floor(Math.abs(zone) / 60))}:${two(Math.abs(zone) % 60)}`;
        const local = new Date(ms + zone * 60_000).toISOString().replace("Z", offset);
        expect(parseTime(local, "--at", NOW)).toBe(ms);
      }),
    );
  });

  test("any text is a time between 1970 and 9999, or a usage error", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."0123456789-:TZ+. dhms".split("")) }), (text) => {
        try {
          const ms = parseTime(text, "--at", NOW);
          expect(ms).toBeLessThanOrEqual(253_402_300_799_999);
          expect(Number.isFinite(ms)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "usage" });
        }
      }),
    );
  });
});
