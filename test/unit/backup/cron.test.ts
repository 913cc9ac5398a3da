import { beforeAll, describe, expect, test } from "vitest";
import { clockChange, nextTimes, parseCron } from "../../../src/backup/cron.ts";

beforeAll(() => {
  process.env["TZ"] = "UTC";
});

const next = (schedule: string, from: string, count = 3) =>
  nextTimes(parseCron(schedule), new Date(from), count).map((time) => time.toISOString().slice(0, 16));

describe("the next times", () => {
  const table: { schedule: string; from: string; times: string[]; why?: string }[] = [
    {
      schedule: "0 3 * * *",
      from: "2026-11-21T16:00Z",
      times: ["2026-11-22T03:00", "2026-11-23T03:00", "2026-11-24T03:00"],
    },
    {
      schedule: "0 3 * * *",
      from: "2026-12-31T02:59:59.999Z",
      times: ["2026-12-31T03:00", "2027-01-01T03:00", "2027-01-02T03:00"],
    },
    {
      schedule: "0 3 * * *",
      from: "2026-11-21T03:00Z",
      times: ["2026-11-22T03:00", "2026-11-23T03:00", "2026-11-24T03:00"],
      why: "not now",
    },
    {
      schedule: "*/20 8-9 * * *",
      from: "2026-11-21T08:30Z",
      times: ["2026-11-21T08:40", "2026-11-21T09:00", "2026-11-21T09:20"],
    },
    {
      schedule: "10-30/10,59 * * * *",
      from: "2026-11-21T08:25Z",
      times: ["2026-11-21T08:30", "2026-11-21T08:59", "2026-11-21T09:10"],
    },
    {
      schedule: "0 0 29 2 *",
      from: "2026-11-21T00:00Z",
      times: ["2028-02-29T00:00", "2032-02-29T00:00", "2036-02-29T00:00"],
    },
    {
      schedule: "0 0 29 2 *",
      from: "2096-03-01T00:00Z",
      times: ["2104-02-29T00:00", "2108-02-29T00:00", "2112-02-29T00:00"],
      why: "2100 is no leap year",
    },
    {
      schedule: "0 0 31 * *",
      from: "2026-01-31T00:00Z",
      times: ["2026-03-31T00:00", "2026-05-31T00:00", "2026-07-31T00:00"],
    },
    {
      schedule: "0 5 * * 7",
      from: "2026-11-21T00:00Z",
      times: ["2026-11-22T05:00", "2026-11-29T05:00", "2026-12-06T05:00"],
      why: "7 is Sunday",
    },
    {
      schedule: "0 5 * * fri-7",
      from: "2026-11-19T00:00Z",
      times: ["2026-11-20T05:00", "2026-11-21T05:00", "2026-11-22T05:00"],
    },
    {
      schedule: "0 5 * * Mon,WED",
      from: "2026-11-21T00:00Z",
      times: ["2026-11-23T05:00", "2026-11-25T05:00", "2026-11-30T05:00"],
    },
    {
      schedule: "0 5 1 jan,JUL *",
      from: "2026-11-21T00:00Z",
      times: ["2027-01-01T05:00", "2027-07-01T05:00", "2028-01-01T05:00"],
    },
    {
      schedule: "0 0 13 * 5",
      from: "2026-11-01T00:00Z",
      times: ["2026-11-06T00:00", "2026-11-13T00:00", "2026-11-20T00:00"],
      why: "either day",
    },
    {
      schedule: "0 0 */10 * 1",
      from: "2026-11-01T00:00Z",
      times: ["2026-12-21T00:00", "2027-01-11T00:00", "2027-02-01T00:00"],
      why: "both days: one begins with *",
    },
    {
      schedule: "@weekly",
      from: "2026-11-21T00:00Z",
      times: ["2026-11-22T00:00", "2026-11-29T00:00", "2026-12-06T00:00"],
    },
    {
      schedule: "@monthly",
      from: "2026-11-21T00:00Z",
      times: ["2026-12-01T00:00", "2027-01-01T00:00", "2027-02-01T00:00"],
    },
    {
      schedule: "@hourly",
      from: "2026-12-31T22:30Z",
      times: ["2026-12-31T23:00", "2027-01-01T00:00", "2027-01-01T01:00"],
    },
  ];
  test.each(table)("$schedule after $from $why", ({ schedule, from, times }) => {
    expect(next(schedule, from)).toEqual(times);
  });

  test("a time that the clock leaves out is left out, of one that comes twice the first counts", () => {
    process.env["TZ"] = "Europe/Berlin";
    try {
      expect(next("30 2 * * *", "2027-03-26T12:00Z")).toEqual([
        "2027-03-27T01:30",
        "2027-03-29T00:30",
        "2027-03-30T00:30",
      ]);
      expect(next("30 2 * * *", "2026-10-24T12:00Z", 2)).toEqual(["2026-10-25T00:30", "2026-10-26T01:30"]);
      const changed = (schedule: string) =>
        clockChange(parseCron(schedule), new Date("2026-11-21T12:00Z"))?.toDateString();
      expect(changed("30 2 * * *")).toBe("Sun Mar 28 2027");
      expect(changed("30 2 * 10 *")).toBe("Sun Oct 31 2027");
      expect(changed("30 3 * * *")).toBeUndefined();
      expect(changed("30 2 * * 1-5")).toBeUndefined();
    } finally {
      process.env["TZ"] = "UTC";
    }
    expect(clockChange(parseCron("30 2 * * *"), new Date())).toBeUndefined();
  });
});

describe("the five fields in numbers", () => {
  test.each([
    ["0 3 * * *", "0 3 * * *"],
    ["  0   3 * * MON-Fri ", "0 3 * * 1-5"],
    ["00 03 1,15 jan-mar/2 *", "0 3 1,15 1-3/2 *"],
    ["@daily", "0 0 * * *"],
    ["@YEARLY", "0 0 1 1 *"],
    ["*/15 * * * sun", "*/15 * * * 0"],
  ])("%s", (given, text) => {
    expect(parseCron(given).text).toBe(text);
  });
});

describe("what is no schedule is refused, with the field and its limits", () => {
  const refused: [schedule: string, message: RegExp, hint: RegExp][] = [
    ["", /has 0 fields, and cron has five/, /0 3 \* \* \*/],
    ["0 3 * *", /has 4 fields/, /./],
    ["0 0 3 * * *", /has 6 fields/, /./],
    ["60 3 * * *", /minute: "60" is outside its limits/, /takes 0 to 59/],
    ["0 24 * * *", /hour: "24" is outside/, /takes 0 to 23/],
    ["0 3 0 * *", /day of month: "0" is outside/, /takes 1 to 31/],
    ["0 3 * 13 *", /month: "13" is outside/, /takes 1 to 12, or jan to dec/],
    ["0 3 * * 8", /day of week: "8" is outside/, /takes 0 to 7, or sun to sat/],
    ["0 3 * * monday", /day of week: "monday" is outside/, /./],
    ["0 3 * mon *", /month: "mon" is outside/, /./],
    ["-5 3 * * *", /minute: "-5" is outside/, /./],
    ["1.5 3 * * *", /minute: "1\.5" is outside/, /./],
    ["5-1 3 * * *", /minute: "5-1" goes backwards/, /./],
    ["0 3 * * fri-mon", /day of week: "fri-mon" goes backwards/, /./],
    ["1-2-3 3 * * *", /minute: "1-2-3" is not understood/, /./],
    ["1,,2 3 * * *", /minute: "" is not understood/, /./],
    ["*/0 3 * * *", /minute: "\*\/0" has a step that is not from 1 to 59/, /./],
    ["*/90 3 * * *", /minute: "\*\/90" has a step that is not from 1 to 59/, /./],
    ["*/ 3 * * *", /minute: "\*\/" has a step that is not/, /./],
    ["5/10 3 * * *", /minute: "5\/10" has a step without a range: write 5-59\/10/, /./],
    ["? 3 * * *", /minute: "\?" is outside/, /./],
    ["0 3 L * *", /day of month: "l" is outside/, /./],
    ["0 3 31 2,4 *", /never comes/, /no such day/],
    ["@reboot", /"@reboot" names no time/, /@daily/],
    ["@constructor", /names no time/, /./],
    ["0\n3 * * * *", /has 6 fields/, /./],
  ];
  test.each(refused)("%j", (schedule, message, hint) => {
    expect(() => parseCron(schedule)).toThrow(
      expect.objectContaining({
        code: "usage",
        message: expect.stringMatching(message),
        hint: expect.stringMatching(hint),
      }),
    );
  });
});
