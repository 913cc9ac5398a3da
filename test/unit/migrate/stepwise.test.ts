import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Call, createCall } from "../../../src/call.ts";
import { type ErrorCode, OpsError } from "../../../src/errors.ts";
import { placeAt, placedMessage } from "../../../src/migrate/excerpt.ts";
import type { HistoryRow, Step } from "../../../src/migrate/port.ts";
import { executedChecksum, runStepwise } from "../../../src/migrate/stepwise.ts";
import { testCall } from "../../support/calls.ts";

const statements = ["a", "b", "c"].map((text, index) => ({ text, offset: index * 2 }));
const script = { file: "V1-x-up.sql", text: "a;b;c", checksum: "sum", inTransaction: false };

function stepOf(direction: Step["direction"], from: number): Step {
  const migration = { set: "user", version: "V1", seq: 1, description: "x", up: script, down: null };
  const row = {
    set_name: "user",
    version: "V1",
    seq: 1,
    file: script.file,
    description: "x",
    checksum: "sum",
    applied_by: "t@h",
    applied_at: 1,
    tool_version: "1",
  };
  const limits = { lockTimeoutMs: 1, statementTimeoutMs: null };
  const file = direction === "up" ? script : { ...script, file: "V1-x-down.sql" };
  return { migration, direction, script: file, row, from, limits };
}

/** What history said after each write, and which statements ran. */
async function trace(
  step: Step,
  fail: (index: number) => ErrorCode | undefined = () => undefined,
  call: Call = testCall(),
  onRun: (index: number) => void = () => {},
) {
  const rows: HistoryRow[] = [];
  const ran: string[] = [];
  const work = runStepwise(
    call,
    step,
    statements,
    async (row) => void rows.push(row),
    async ({ text }, index) => {
      const code = fail(index);
      if (code) throw new OpsError({ code, message: "no" });
      ran.push(text);
      onRun(index);
    },
  );
  const error = await work.then(
    () => null,
    (thrown: OpsError) => thrown.code,
  );
  return { ran, error, history: rows.map((row) => `${row.state} ${row.statement_index} ${row.file}`), rows };
}

describe("a script without a transaction around it", () => {
  it("records every statement, and ends applied or reverted with the digest of up", async () => {
    const up = await trace(stepOf("up", 0));
    expect(up.ran).toEqual(["a", "b", "c"]);
    expect(up.history).toEqual([
      "running 0 V1-x-up.sql",
      "running 1 V1-x-up.sql",
      "running 2 V1-x-up.sql",
      "applied 0 V1-x-up.sql",
    ]);
    expect(up.rows.map(({ checksum }) => checksum)).toEqual([
      executedChecksum(statements, 0),
      executedChecksum(statements, 1),
      executedChecksum(statements, 2),
      "sum",
    ]);
    const { history } = await trace(stepOf("down", 1));
    expect(history).toEqual(["running 1 V1-x-down.sql", "running 2 V1-x-down.sql", "reverted 0 V1-x-up.sql"]);
  });

  it("goes on where it was", async () => {
    expect((await trace(stepOf("up", 2))).ran).toEqual(["c"]);
    const { ran, history } = await trace(stepOf("up", 3));
    expect([ran, history.at(-1)]).toEqual([[], "applied 0 V1-x-up.sql"]);
  });

  it.each<[ErrorCode, string]>([
    ["failed", "failed 1 V1-x-up.sql"],
    ["locked", "failed 1 V1-x-up.sql"],
    // the answer is missing: the statement may have taken effect
    ["unreachable", "running 1 V1-x-up.sql"],
    ["unknown_outcome", "running 1 V1-x-up.sql"],
    ["interrupted", "running 1 V1-x-up.sql"],
  ])("%s at the second statement leaves: %s", async (code, last) => {
    const { error, history, ran } = await trace(stepOf("up", 0), (index) => (index === 1 ? code : undefined));
    expect([error, ran, history.at(-1)]).toEqual([code, ["a"], last]);
  });

  it("stopped between two statements, nothing is in doubt", async () => {
    const abort = new AbortController();
    const call = createCall({ actor: "t@h", signal: abort.signal });
    const { history, ran } = await trace(stepOf("up", 0), undefined, call, () =>
      abort.abort(new OpsError({ code: "interrupted", message: "stop" })),
    );
    expect([ran, history.at(-1)]).toEqual([["a"], "failed 1 V1-x-up.sql"]);
  });
});

describe("places", () => {
  it("are 1-based lines and columns of characters", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" })), fc.nat(), (parts, at) => {
        const text = parts.map((part) => part.replaceAll("\n", " ")).join("\n");
        const offset = at % (text.length + 1);
        const { line, column } = placeAt(text, offset);
        const lines = text.split("\n");
        const before = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
        const inLine = [...lines[line - 1]!].slice(0, column - 1).join("").length;
        // an offset inside a surrogate pair counts the half before it as a character
        expect(Math.abs(before + inLine - offset)).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("are shown with a caret, also at the end of a long line", () => {
    expect(placedMessage("f.sql", "a\nSELECT \u{1f600} x\nb", 12, "no x")).toBe(
      "f.sql:2:10: no x\n  2 | SELECT \u{1f600} x\n    |          ^",
    );
    const long = `${"x".repeat(500)}!`;
    const shown = placedMessage("f.sql", long, 500, "no !").split("\n");
    const caret = shown[2]!.indexOf("^");
    expect(shown[1]![caret]).toBe("!");
    expect(shown[1]!.length).toBeLessThan(140);
  });
});
