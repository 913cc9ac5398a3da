import { describe, expect, it } from "vitest";
import type { OpsError } from "../../../src/errors.ts";
import { type Entry, entriesOf, NOTHING } from "../../../src/migrate/history.ts";
import { type Extent, planDown, planUp } from "../../../src/migrate/plan.ts";
import type { HistoryRow, Migration, Script, Statement } from "../../../src/migrate/port.ts";
import type { Source } from "../../../src/migrate/source.ts";
import { executedChecksum } from "../../../src/migrate/stepwise.ts";
import { findProblems } from "../../../src/migrate/verify.ts";

/** Statements end at `;`; those that begin with "again" may run twice. */
const target = {
  check(script: Script) {
    if (script.text.includes("COMMIT")) throw new Error(`${script.file} holds COMMIT`);
  },
  statements: (text: string): Statement[] =>
    text
      .split(";")
      .filter((part) => part !== "")
      .map((part) => ({ text: part, offset: 0 })),
  repeatable: ({ text }: Statement) => text.startsWith("again"),
};

const script = (file: string, text: string): Script => ({
  file,
  text,
  checksum: `sum of ${text}`,
  inTransaction: true,
});

function migration(seq: number, text = `up ${seq}`, down: string | null = `down ${seq}`): Migration {
  return {
    set: "user",
    version: `V${seq}`,
    seq,
    description: "d",
    up: script(`V${seq}-d-up.sql`, text),
    down: down === null ? null : script(`V${seq}-d-down.sql`, down),
  };
}

function row(seq: number, change: Partial<HistoryRow> = {}): HistoryRow {
  return {
    set_name: "user",
    version: `V${seq}`,
    seq,
    file: `V${seq}-d-up.sql`,
    description: "d",
    checksum: `sum of up ${seq}`,
    state: "applied",
    statement_index: 0,
    applied_by: "t@h",
    applied_at: 1000 + seq,
    duration_ms: 1,
    tool_version: "1",
    ...change,
  };
}

function sourceOf(migrations: Migration[]): Source {
  return {
    engine: "postgres",
    set: "user",
    title: "migrations/postgres",
    place: "/m",
    format: "opsctl",
    migrations,
  };
}

function up(migrations: Migration[], rows: HistoryRow[], extent: Extent = {}): string[] {
  const planned = planUp(sourceOf(migrations), entriesOf(migrations, rows), target, extent);
  return planned.map(({ entry, from }) => (from === 0 ? entry.version : `${entry.version}+${from}`));
}

function down(migrations: Migration[], rows: HistoryRow[], extent: Extent = {}): string[] {
  const planned = planDown(sourceOf(migrations), entriesOf(migrations, rows), target, extent);
  return planned.map(({ entry, from }) => (from === 0 ? entry.version : `${entry.version}+${from}`));
}

function failure(work: () => unknown): OpsError {
  try {
    work();
  } catch (error) {
    return error as OpsError;
  }
  throw new Error("it did not fail");
}

const four = [1, 2, 3, 4].map((seq) => migration(seq));
const broken = (seq: number, text: string, done: number, change: Partial<HistoryRow> = {}) =>
  row(seq, {
    state: "running",
    statement_index: done,
    checksum: executedChecksum(target.statements(text), done),
    ...change,
  });

describe("states", () => {
  const states = (entries: Entry[]) =>
    entries.map(({ version, state, broken: what, isLate }) =>
      [version, state, what, isLate ? "late" : null].filter(Boolean).join(" "),
    );

  it.each<[string, Migration[], HistoryRow[], string[]]>([
    ["nothing applied", four.slice(0, 2), [], ["V1 pending", "V2 pending"]],
    ["merged late", four, [row(1), row(3)], ["V1 applied", "V2 pending late", "V3 applied", "V4 pending"]],
    ["edited", [migration(1, "other")], [row(1)], ["V1 edited"]],
    ["missing", [], [row(1)], ["V1 missing"]],
    ["rolled back", four.slice(0, 1), [row(1, { state: "reverted" })], ["V1 reverted"]],
    ["rolled back and deleted", [], [row(1, { state: "reverted" })], []],
    ["broken off", four.slice(0, 1), [row(1, { state: "running" })], ["V1 running up"]],
    [
      "rollback broken off",
      four.slice(0, 1),
      [row(1, { state: "failed", file: "V1-d-down.sql" })],
      ["V1 failed down"],
    ],
    ["baseline 0", four.slice(0, 1), [row(0, { version: NOTHING })], ["V1 pending"]],
  ])("%s", (_, migrations, rows, expected) => {
    expect(states(entriesOf(migrations, rows))).toEqual(expected);
  });
});

describe("up", () => {
  it.each<[string, Migration[], HistoryRow[], Extent, string[]]>([
    ["all", four, [], {}, ["V1", "V2", "V3", "V4"]],
    ["what is missing, late ones too", four, [row(1), row(3)], {}, ["V2", "V4"]],
    ["to a version", four, [row(1)], { to: "V3" }, ["V2", "V3"]],
    ["to a version by its number", four, [row(1)], { to: "003" }, ["V2", "V3"]],
    ["to one that is applied", four, [row(1), row(2)], { to: "V2" }, []],
    ["so many", four, [row(1)], { steps: 2 }, ["V2", "V3"]],
    ["rolled back before", four, [row(1), row(2, { state: "reverted" })], {}, ["V2", "V3", "V4"]],
    [
      "resumed after a failure",
      [migration(1, "a;b;c")],
      [broken(1, "a;b;c", 1, { state: "failed" })],
      {},
      ["V1+1"],
    ],
    [
      "resumed: what failed was corrected",
      [migration(1, "a;B;c")],
      [broken(1, "a;b;c", 1, { state: "failed" })],
      {},
      ["V1+1"],
    ],
    [
      "resumed: the statement may run twice",
      [migration(1, "a;again;c")],
      [broken(1, "a;again;c", 1)],
      {},
      ["V1+1"],
    ],
    ["killed after the last statement", [migration(1, "a;b")], [broken(1, "a;b", 2)], {}, ["V1+2"]],
  ])("%s", (_, migrations, rows, extent, expected) => {
    expect(up(migrations, rows, extent)).toEqual(expected);
  });

  it.each<[string, Migration[], HistoryRow[], Extent, string, RegExp, RegExp]>([
    [
      "edited",
      [migration(1, "other")],
      [row(1)],
      {},
      "integrity",
      /V1-d-up.sql differs .* sum of up 1.* sum of other/,
      /repair postgres V1 --mark applied/,
    ],
    ["missing", four.slice(1), [row(1)], {}, "integrity", /not in \/m: V1-d-up.sql/, /put the files back/],
    ["unknown version", four, [], { to: "V9" }, "usage", /no version "V9"/, /V1, V2, V3, V4/],
    ["empty", [migration(1, " \n")], [], {}, "usage", /V1-d-up.sql is empty/, /write its statements/],
    [
      "in doubt",
      [migration(1, "a;b;c")],
      [broken(1, "a;b;c", 1)],
      {},
      "unknown_outcome",
      /statement 2 of 3, which may or may not/,
      /repair postgres V1 --retry/,
    ],
    [
      "executed part edited",
      [migration(1, "x;b")],
      [broken(1, "a;b", 1, { state: "failed" })],
      {},
      "integrity",
      /its first statement has run, and it was edited/,
      /--mark applied/,
    ],
    [
      "rollback broken off",
      four,
      [broken(1, "down 1", 0, { file: "V1-d-down.sql" })],
      {},
      "failed",
      /the rollback of V1/,
      /migrate down postgres/,
    ],
  ])("refuses: %s", (_, migrations, rows, extent, code, message, hint) => {
    const error = failure(() => up(migrations, rows, extent));
    expect([error.code, error.message, error.hint]).toEqual([
      code,
      expect.stringMatching(message),
      expect.stringMatching(hint),
    ]);
  });

  it("checks every file before the first one runs", () => {
    expect(() => up([migration(1), migration(2, "a; COMMIT")], [])).toThrow(/V2-d-up.sql holds COMMIT/);
    expect(up([migration(1), migration(2, "a; COMMIT")], [], { to: "V1" })).toEqual(["V1"]);
  });
});

describe("down", () => {
  const applied = [row(1), row(2, { applied_at: 5000 }), row(3)];
  it.each<[string, HistoryRow[], Extent, string[]]>([
    ["the one applied last, not the one with the highest number", applied, {}, ["V2"]],
    ["several", applied, { steps: 2 }, ["V2", "V3"]],
    ["to a version: what was applied after it", applied, { to: "V3" }, ["V2"]],
    ["to nothing", applied, { to: "0" }, ["V2", "V3", "V1"]],
    ["nothing applied", [], {}, []],
    [
      "goes on with a rollback",
      [broken(1, "down 1", 0, { file: "V1-d-down.sql", state: "failed" })],
      {},
      ["V1"],
    ],
  ])("%s", (_, rows, extent, expected) => {
    expect(down(four, rows, extent)).toEqual(expected);
  });

  it.each<[string, Migration[], HistoryRow[], Extent, string, RegExp]>([
    [
      "no down file, before anything runs",
      [migration(1), migration(2, "up 2", null), migration(3)],
      [row(1), row(2), row(3)],
      { to: "0" },
      "usage",
      /V2-d-up.sql has no script to roll it back; nothing was changed/,
    ],
    ["empty down file", [migration(1, "up 1", "")], [row(1)], {}, "usage", /V1-d-down.sql is empty/],
    ["edited", [migration(1, "other")], [row(1)], {}, "integrity", /differs/],
    ["gone", [], [row(1)], {}, "integrity", /not in/],
    ["to what is not applied", four, [row(1)], { to: "V3" }, "usage", /V3 is not applied/],
    [
      "broken off on the way up",
      [migration(1, "a;b")],
      [broken(1, "a;b", 1)],
      {},
      "failed",
      /broken off after 1/,
    ],
  ])("refuses: %s", (_, migrations, rows, extent, code, message) => {
    const error = failure(() => down(migrations, rows, extent));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });

  it("an edited file that stays applied does not stop the rollback of others", () => {
    expect(down([migration(1, "other"), migration(2)], [row(1), row(2)])).toEqual(["V2"]);
  });
});

it("verify names each problem, and what up would refuse", () => {
  const migrations = [migration(1, "other"), migration(3), migration(4, "COMMIT"), migration(5, "fine", "")];
  const entries = entriesOf(migrations, [row(1), row(2), broken(3, "up 3", 0)]);
  expect(
    findProblems(sourceOf(migrations), entries, target).map(({ version, kind }) => [version, kind]),
  ).toEqual([
    ["V1", "edited"],
    ["V2", "missing"],
    ["V3", "broken"],
    ["V4", "invalid"],
    ["V5", "invalid"],
  ]);
});
