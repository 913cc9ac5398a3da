/** Schedules of cron: five fields, or @daily and its like. */
import { usageError } from "../errors.ts";

/** When it is due; lists are sorted. */
export interface Cron {
  /** The five fields in numbers, which every cron reads. */
  text: string;
  minutes: readonly number[];
  hours: readonly number[];
  /** Of the month. */
  days: readonly number[];
  months: readonly number[];
  /** 0 is Sunday. */
  weekdays: readonly number[];
  /** Both days are restricted, and a day need match only one of them: so cron does it unless one of the fields begins with `*`. */
  eitherDay: boolean;
}

interface Field {
  name: string;
  min: number;
  max: number;
  names: readonly string[];
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const FIELDS: readonly [Field, Field, Field, Field, Field] = [
  { name: "minute", min: 0, max: 59, names: [] },
  { name: "hour", min: 0, max: 23, names: [] },
  { name: "day of month", min: 1, max: 31, names: [] },
  { name: "month", min: 1, max: 12, names: MONTHS },
  { name: "day of week", min: 0, max: 7, names: WEEKDAYS },
];
const MACROS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};
/** 29 February may be eight years away (2096 to 2104), and on a given weekday it comes every 28 years, or 40. */
const MAX_DAYS = 41 * 366;

/**
 * Reads a schedule.
 * @throws OpsError `usage` naming the field and its limits, also for a day that never comes
 */
export function parseCron(text: string): Cron {
  const given = text.trim().toLowerCase();
  if (given.startsWith("@") && !Object.hasOwn(MACROS, given)) {
    throw usageError(
      `schedule: "${text}" names no time`,
      `use five fields, or one of ${Object.keys(MACROS).join(", ")}`,
    );
  }
  const words = (MACROS[given] ?? given).split(/\s+/);
  if (words.length !== FIELDS.length || given === "") {
    throw usageError(
      `schedule: "${text}" has ${given === "" ? 0 : words.length} fields, and cron has five: minute hour day-of-month month day-of-week`,
      `for every night at three: "0 3 * * *"`,
    );
  }
  const fields = words.map((word, index) => parseField(FIELDS[index]!, word));
  const [minutes, hours, days, months, week] = fields.map(({ values }) => values) as [
    number[],
    number[],
    number[],
    number[],
    number[],
  ];
  const cron: Cron = {
    text: fields.map((field) => field.text).join(" "),
    minutes,
    hours,
    days,
    months,
    weekdays: [...new Set(week.map((day) => day % 7))].sort((a, b) => a - b),
    eitherDay: !words[2]!.startsWith("*") && !words[4]!.startsWith("*"),
  };
  if (nextTimes(cron, new Date(), 1).length === 0)
    throw usageError(`schedule: "${text}" never comes`, "the month has no such day");
  return cron;
}

function parseField(field: Field, text: string): { text: string; values: number[] } {
  const parts = text.split(",").map((part) => parsePart(field, part));
  const values = [...new Set(parts.flatMap((part) => part.values))].sort((a, b) => a - b);
  return { text: parts.map((part) => part.text).join(","), values };
}

// `*`, `5`, `1-5`; all but the number also with a step: `*/15`, `8-18/2`
function parsePart(field: Field, text: string): { text: string; values: number[] } {
  const { name, min, max } = field;
  const [, range = "", step] = /^([^/]*)(?:\/(.*))?$/s.exec(text)!;
  const [first = "", last, ...more] = range.split("-");
  if (range === "" || more.length > 0) throw fieldError(field, text, "is not understood");
  const isAll = range === "*";
  const from = isAll ? min : numberOf(field, first, text);
  // every cron knows Sunday as 0, so `*` need not hold it twice
  const to = isAll ? Math.min(max, name === "day of week" ? 6 : max) : numberOf(field, last ?? first, text);
  if (from > to) throw fieldError(field, text, `goes backwards`);
  if (step !== undefined && !isAll && last === undefined)
    throw fieldError(field, text, `has a step without a range: write ${first}-${max}/${step}`);
  const every = step === undefined ? 1 : stepOf(field, step, text);
  const values: number[] = [];
  for (let value = from; value <= to; value += every) values.push(value);
  const shown = isAll ? "*" : last === undefined ? `${from}` : `${from}-${to}`;
  return { text: step === undefined ? shown : `${shown}/${every}`, values };
}

function stepOf(field: Field, step: string, text: string): number {
  const value = Number(step);
  const largest = field.max - field.min;
  if (/^\d+$/.test(step) && value >= 1 && value <= largest) return value;
  throw fieldError(field, text, `has a step that is not from 1 to ${largest}`);
}

function numberOf(field: Field, text: string, part: string): number {
  const named = field.names.indexOf(text);
  if (named >= 0) return named + field.min;
  const value = Number(text);
  if (/^\d{1,2}$/.test(text) && value >= field.min && value <= field.max) return value;
  throw fieldError(field, part, "is outside its limits");
}

function fieldError({ name, min, max, names }: Field, text: string, what: string) {
  const named = names.length > 0 ? `, or ${names[0]} to ${names.at(-1)}` : "";
  return usageError(
    `schedule, ${name}: "${text}" ${what}`,
    `it takes ${min} to ${max}${named}: one, a list 1,2, a range 1-5, a step */2 or 1-5/2, or *`,
  );
}

/**
 * The next times after `from`, by the clock of the process's time zone, as cron goes by it. A time that the clock leaves out on a day is left out,
 * of one that comes twice the first counts.
 * @returns fewer than `count` when there are none for 41 years
 */
export function nextTimes(cron: Cron, from: Date, count: number): Date[] {
  const found: Date[] = [];
  for (let ahead = 0; ahead <= MAX_DAYS; ahead += 1) {
    const day = new Date(from.getFullYear(), from.getMonth(), from.getDate() + ahead, 12);
    if (!isDue(cron, day)) continue;
    for (const { time, exists } of timesOf(cron, day)) {
      if (!exists || time <= from) continue;
      found.push(time);
      if (found.length === count) return found;
    }
  }
  return found;
}

function isDue({ days, months, weekdays, eitherDay }: Cron, day: Date): boolean {
  if (!months.includes(day.getMonth() + 1)) return false;
  const isDay = days.includes(day.getDate());
  const isWeekday = weekdays.includes(day.getDay());
  return eitherDay ? isDay || isWeekday : isDay && isWeekday;
}

function timesOf({ hours, minutes }: Cron, day: Date): { time: Date; exists: boolean }[] {
  return hours.flatMap((hour) =>
    minutes.map((minute) => {
      const time = new Date(day.getFullYear(), day.getMonth(), day.getDate(), hour, minute);
      return { time, exists: time.getHours() === hour && time.getMinutes() === minute };
    }),
  );
}

/** The first day within a year on which the clock leaves out or repeats a time that is due; undefined: there is none. */
export function clockChange(cron: Cron, from: Date): Date | undefined {
  for (let ahead = 0; ahead <= 366; ahead += 1) {
    const [day, following] = [0, 1].map(
      (more) => new Date(from.getFullYear(), from.getMonth(), from.getDate() + ahead + more),
    ) as [Date, Date];
    if (day.getTimezoneOffset() === following.getTimezoneOffset() || !isDue(cron, day)) continue;
    const isTouched = timesOf(cron, day).some(({ time, exists }) => !exists || comesTwice(time));
    if (isTouched) return day;
  }
  return undefined;
}

/** Clocks go back by an hour, on one island by half of one. */
function comesTwice(time: Date): boolean {
  return [30, 60].some((minutes) => {
    const later = new Date(time.getTime() + minutes * 60_000);
    return later.getHours() === time.getHours() && later.getMinutes() === time.getMinutes();
  });
}
