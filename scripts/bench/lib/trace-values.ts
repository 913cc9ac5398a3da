/** Values as logs hold them, drawn anew each time. */
import type { Random } from "./random.ts";

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const USERS = "alice bob carol dave erin frank grace heidi ivan judy".split(" ");
const POD_LETTERS = "bcdfghjklmnpqrstvwxz2456789";
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const letters = (random: Random, alphabet: string, length: number) =>
  Array.from({ length }, () => alphabet[random.below(alphabet.length)]).join("");
const hex = (random: Random, length: number) => letters(random, "0123456789abcdef", length);
const digits = (random: Random, length: number) => String(random.below(10 ** length)).padStart(length, "0");
const between = (random: Random, from: number, to: number) => from + random.below(to - from + 1);
const two = (value: number) => String(value).padStart(2, "0");

interface Time {
  year: number;
  month: number;
  day: string;
  clock: string;
  ms: string;
}
const time = (random: Random): Time => ({
  year: between(random, 2021, 2026),
  month: between(random, 1, 12),
  day: two(between(random, 1, 28)),
  clock: [random.below(24), random.below(60), random.below(60)].map(two).join(":"),
  ms: digits(random, 3),
});
const date = ({ year, month, day }: Time, separator = "-") => [year, two(month), day].join(separator);

const VALUES: Readonly<Record<string, (random: Random) => string>> = {
  n: (random) => String(between(random, 1, 99)),
  n3: (random) => String(between(random, 100, 999)),
  n4: (random) => String(between(random, 1000, 9999)),
  int: (random) => String(between(random, 1, 10 ** between(random, 3, 8))),
  ms: (random) => digits(random, 3),
  ms3: (random) => `0.${digits(random, 3)}`,
  pid: (random) => String(between(random, 2, 4_000_000)),
  eport: (random) => String(between(random, 32_768, 60_999)),
  hex3: (random) => `1${hex(random, 2)}`,
  hex8: (random) => hex(random, 8),
  hex16: (random) => hex(random, 16),
  hex24: (random) => hex(random, 24),
  hex40: (random) => hex(random, 40),
  hex64: (random) => hex(random, 64),
  b64: (random) => letters(random, BASE64, 48),
  uuid: (random) => [8, 4, 4, 4, 12].map((length) => hex(random, length)).join("-"),
  mac: (random) => Array.from({ length: 6 }, () => hex(random, 2)).join(":"),
  ip: (random) => ["10", ...[0, 0, 0].map(() => String(random.below(256)))].join("."),
  pod: (random) => `web-${letters(random, POD_LETTERS, 9)}-${letters(random, POD_LETTERS, 5)}`,
  user: (random) => random.pick(USERS),
  email: (random) => `${random.pick(USERS)}${random.below(1000)}@example.com`,
  age: (random) => `${between(random, 1, 59)}${random.pick(["s", "m", "h"])}`,
  day: (random) => date(time(random)),
  iso: (random) => iso(time(random), "Z"),
  isoms: (random) => iso(time(random), digits(random, 3)),
  pydate: (random) => plain(time(random), "-"),
  godate: (random) => plain(time(random), "/"),
  ngdate: (random) => plain(time(random), "/"),
  clf: (random) => commonLog(time(random)),
  sysdate: (random) => syslog(time(random)),
  redate: (random) => redis(time(random)),
  glog: (random) => glog(time(random), digits(random, 3)),
};

const iso = (at: Time, end: string) => `${date(at)}T${at.clock}.${at.ms}${end}`;
const plain = (at: Time, separator: string) => `${date(at, separator)} ${at.clock}`;
const commonLog = (at: Time) => `${at.day}/${MONTHS[at.month - 1]}/${at.year}:${at.clock} +0000`;
const syslog = (at: Time) => `${MONTHS[at.month - 1]} ${at.day} ${at.clock}`;
const redis = (at: Time) => `${at.day} ${MONTHS[at.month - 1]} ${at.year} ${at.clock}.${at.ms}`;
const glog = (at: Time, micros: string) => `${two(at.month)}${at.day} ${at.clock}.${at.ms}${micros}`;

/** The line with a value for each `{name}`; names that mean nothing here stay. */
export const filled = (random: Random, line: string): string =>
  line.replace(/\{([a-z]+\d*)\}/g, (text, name: string) => VALUES[name]?.(random) ?? text);
