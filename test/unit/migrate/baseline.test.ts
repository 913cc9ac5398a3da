import { describe, expect, test } from "vitest";
import { heldBy, planBaseline } from "../../../src/migrate/baseline.ts";
import type { Format, HistoryRow, Migration, PeerHistory } from "../../../src/migrate/port.ts";
import { appliedRow } from "../../../src/migrate/runner.ts";
import type { Source } from "../../../src/migrate/source.ts";
import { testCall } from "../../support/calls.ts";

const call = testCall();
const EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

function migration(version: string, seq: number): Migration {
  const up = {
    file: `${version}-x-up.sql`,
    text: "SELECT 1;",
    checksum: `sha256:${version}`,
    inTransaction: true,
  };
  return { set: "user", version, seq, description: "x", up, down: null };
}

function sourceOf(format: Format, ...migrations: Migration[]): Source {
  return { engine: "postgres", set: "user", title: "migrations/postgres", place: "/x", format, migrations };
}

const OWN = sourceOf("opsctl", migration("V1", 1), migration("V2", 2), migration("V3", 3));
const row = (
  seq: number,
  state: HistoryRow["state"] = "applied",
  more: Partial<HistoryRow> = {},
): HistoryRow => ({
  ...appliedRow(call, migration(`V${seq}`, seq), seq),
  applied_at: 1000 * seq,
  state,
  ...more,
});
const upTo = (last: number) => ({ held: OWN.migrations.filter(({ seq }) => seq <= last), isAll: true });

describe("the rows of a baseline", () => {
  test("every file up to the version, as applied", () => {
    const before = Date.now();
    const rows = planBaseline(call, OWN, [], upTo(2));
    expect(rows).toMatchObject([
      {
        set_name: "user",
        version: "V1",
        seq: 1,
        file: "V1-x-up.sql",
        checksum: "sha256:V1",
        state: "applied",
      },
      { version: "V2", statement_index: 0, duration_ms: 0, applied_by: "tester@host" },
    ]);
    for (const { applied_at } of rows) expect(applied_at).toBeGreaterThanOrEqual(before);
  });

  test("0: one row that says so", () => {
    expect(planBaseline(call, OWN, [], upTo(0))).toMatchObject([
      {
        version: "0",
        seq: 0,
        file: "",
        description: "baseline: nothing applied",
        checksum: EMPTY,
        state: "applied",
      },
    ]);
  });

  test("said again, nothing", () => {
    for (const last of [0, 2, 3]) {
      const rows = planBaseline(call, OWN, [], upTo(last));
      expect(planBaseline(call, OWN, rows, upTo(last))).toEqual([]);
    }
    const nothing = planBaseline(call, OWN, [], upTo(0));
    expect(planBaseline(call, OWN, nothing, upTo(2)).map(({ version }) => version)).toEqual(["V1", "V2"]);
  });

  test("what history lacks goes before what it has with higher numbers", () => {
    expect(planBaseline(call, OWN, [row(2)], upTo(2))).toMatchObject([{ version: "V1", applied_at: 2000 }]);
    expect(planBaseline(call, OWN, [row(1)], upTo(2))[0]!.applied_at).toBeGreaterThan(2000);
  });

  const EDITED = { checksum: "sha256:other" };
  test.each<[string, HistoryRow[], number, RegExp]>([
    ["a later version is applied", [row(3)], 2, /V3 is applied/],
    ["anything is applied, for 0", [row(1), row(2)], 0, /V1 is applied, V2 is applied/],
    ["one was rolled back", [row(1), row(2, "reverted")], 2, /V2 is reverted/],
    ["one was edited", [row(1, "applied", EDITED)], 2, /V1 is edited/],
    ["one is broken off", [row(2, "failed")], 2, /V2 is failed/],
    ["one that is not meant is broken off", [row(3, "running")], 2, /V3 is running/],
    ["one has no file", [row(9)], 2, /V9 is missing/],
  ])("history disagrees: %s", (_title, rows, last, message) => {
    expect(() => planBaseline(call, OWN, rows, upTo(last))).toThrow(
      expect.objectContaining({
        code: "integrity",
        message: expect.stringMatching(message),
        hint: expect.stringMatching(/migrate status postgres.*migrate repair postgres V\d --mark/),
      }),
    );
  });

  test("what was rolled back above the version agrees", () => {
    expect(planBaseline(call, OWN, [row(1), row(3, "reverted")], upTo(2))).toMatchObject([{ version: "V2" }]);
    expect(planBaseline(call, OWN, [row(3, "reverted")], upTo(0))).toEqual([]);
  });

  test("of another tool's history: what opsctl applied since stays", () => {
    const held = { held: OWN.migrations.slice(0, 2), isAll: false };
    expect(planBaseline(call, OWN, [row(1), row(3)], held)).toMatchObject([{ version: "V2" }]);
    expect(() => planBaseline(call, OWN, [row(2, "reverted")], held)).toThrow(/V2 is reverted/);
  });
});

describe("what another tool has applied", () => {
  const GO = sourceOf(
    "golang-migrate",
    migration("000001", 1),
    migration("000002", 2),
    migration("000010", 10),
  );
  const DBMATE = sourceOf("dbmate", migration("20240101", 20240101), migration("20240102", 20240102));
  const DIESEL = sourceOf("diesel", migration("00000000000000", 0), migration("20240101120000000a", 5));
  const history = (versions: string[], more: Partial<PeerHistory> = {}): PeerHistory => ({
    table: "schema_migrations",
    versions,
    lastOnly: false,
    dirty: false,
    ...more,
  });

  test.each<[string, Source, PeerHistory, string[]]>([
    ["the last version alone", GO, history(["2"], { lastOnly: true }), ["000001", "000002"]],
    ["no version", GO, history([], { lastOnly: true }), []],
    ["all versions of a tool with numbers", GO, history(["10", "1"]), ["000001", "000010"]],
    ["texts", DBMATE, history(["20240102"]), ["20240102"]],
    [
      "diesel",
      DIESEL,
      history(["00000000000000", "20240101120000000a"]),
      ["00000000000000", "20240101120000000a"],
    ],
  ])("%s", (_title, source, peer, versions) => {
    expect(heldBy(source, source.format, peer).map(({ version }) => version)).toEqual(versions);
  });

  test.each<[string, Source, PeerHistory, string, RegExp]>([
    [
      "broken off",
      GO,
      history(["2"], { lastOnly: true, dirty: true }),
      "failed",
      /golang-migrate broke off in version 2/,
    ],
    [
      "before its first version",
      GO,
      history(["-1"], { lastOnly: true, dirty: true }),
      "failed",
      /version -1/,
    ],
    [
      "a last version without a file",
      GO,
      history(["3"], { lastOnly: true }),
      "integrity",
      /a version without a file.*: 3;/,
    ],
    [
      "versions without files",
      DBMATE,
      history(["20240101", "7", "8"]),
      "integrity",
      /versions without a file.*: 7, 8;/,
    ],
    ["what is no number", DBMATE, history(["x"]), "integrity", /: x;/],
    ["a number that diesel has as another text", DIESEL, history(["0"]), "integrity", /: 0;/],
    [
      "many",
      DBMATE,
      history(Array.from({ length: 300 }, (_, index) => String(index))),
      "integrity",
      /: 0, 1, 2, 3, 4 and 295 more;/,
    ],
  ])("refused: %s", (_title, source, peer, code, message) => {
    expect(() => heldBy(source, source.format, peer)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});
