/** The importer on a real store in memory: any line is stored or rejected, and nothing else happens. */
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { IN_MEMORY, sqliteConnection } from "../../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../../src/engines/sqlite/memory.ts";
import { usageError } from "../../../src/errors.ts";
import { exportEvents } from "../../../src/memory/export.ts";
import { lineEventId } from "../../../src/memory/ids.ts";
import { importEvents, type Rejection } from "../../../src/memory/import.ts";
import type { Journal } from "../../../src/memory/journal.ts";
import { Stores } from "../../../src/memory/stores.ts";
import { testCall } from "../../support/calls.ts";

const opened: { close(): Promise<void> }[] = [];
afterAll(() => Promise.all(opened.map((connection) => connection.close())));

/** The embedded store alone: without servers no journal is asked. */
function embedded(): Stores {
  const connection = sqliteConnection(IN_MEMORY);
  opened.push(connection);
  const store = sqliteMemory(connection);
  const handle = { engine: "sqlite" as const, identity: "test", open: async () => store };
  return new Stores({ servers: [], embedded: handle, journal: {} as Journal, scratch: async () => store });
}

async function importAll(stores: Stores, lines: readonly string[]) {
  const rejections: Rejection[] = [];
  async function* source() {
    yield* lines;
  }
  const report = await importEvents(testCall(), stores, {
    lines: source(),
    parseTime: (value) => {
      if (value === undefined || value === null) return undefined;
      if (typeof value === "number") return value;
      throw usageError("ts must be a number");
    },
    onReject: async (rejection) => {
      rejections.push(rejection);
    },
  });
  return { report, rejections };
}

async function exported(stores: Stores): Promise<string[]> {
  const lines: string[] = [];
  await exportEvents(testCall(), stores, async (line) => {
    lines.push(line);
  });
  return lines;
}

describe("properties", () => {
  const stores = embedded();

  test("any JSON value, any text: stored, duplicate or rejected with a reason; never an error", async () => {
    const anyLine = fc.oneof(fc.json(), fc.string(), fc.string({ unit: "binary" }));
    await fc.assert(
      fc.asyncProperty(fc.array(anyLine, { maxLength: 20 }), async (lines) => {
        const { report, rejections } = await importAll(stores, lines);
        expect(report.lines).toBe(lines.filter((line) => line.trim() !== "").length);
        expect(report.imported + report.duplicates + report.rejected).toBe(report.lines);
        expect(rejections).toHaveLength(report.rejected);
        for (const { line, reason, text } of rejections) {
          expect(text).toBe(lines[line - 1]);
          expect(reason).not.toBe("");
        }
      }),
    );
  });

  test("any value in any field is stored or rejected", async () => {
    const names = [
      "id",
      "event_id",
      "key",
      "issue",
      "content",
      "solution",
      "details",
      "success",
      "agent",
      "server",
    ];
    const value = fc.oneof(fc.jsonValue(), fc.string(), fc.constantFrom("\0", "\ud800", "", " "));
    const row = fc.dictionary(fc.constantFrom(...names, "ts", "tags", "metadata"), value);
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 10 }), async (rows) => {
        const lines = rows.map((one) => JSON.stringify({ key: "k", content: "c", ...one }));
        const { report } = await importAll(stores, lines);
        expect(report.imported + report.duplicates + report.rejected).toBe(lines.length);
      }),
    );
  });

  test("valid events come back from an export, and that imports to itself", async () => {
    const text = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
      .filter((one) => one.trim() !== "" && !one.includes("\0"));
    const event = fc.record({
      key: text,
      content: text,
      details: fc.option(text),
      success: fc.constantFrom(true, false, null),
      agent: fc.option(text),
      server: fc.option(text),
      ts: fc.integer({ min: 0, max: 253_402_300_799_999 }),
      tags: fc.array(text, { maxLength: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 1, maxLength: 8 }), async (events) => {
        const [first, second] = [embedded(), embedded()];
        const lines = events.map((one) => JSON.stringify(one));
        const { report } = await importAll(first, lines);
        expect(report.rejected).toBe(0);
        const out = await exported(first);
        expect(out).toHaveLength(new Set(lines).size);
        expect((await importAll(second, out)).report).toMatchObject({ imported: out.length, rejected: 0 });
        expect(await exported(second)).toEqual(out);
        expect((await importAll(first, out)).report).toMatchObject({ imported: 0, duplicates: out.length });
      }),
      { numRuns: 30 },
    );
  });
});

test("lines without an event id get one from their text; blank lines count for numbers only", async () => {
  const stores = embedded();
  const lines = ["", '{"key":"k","content":"c","ts":1}', "  ", '{"key":"k","content":"c","ts":1}', "{}"];
  const { report, rejections } = await importAll(stores, lines);
  expect(report).toMatchObject({ lines: 3, imported: 1, duplicates: 1, rejected: 1 });
  expect(rejections).toMatchObject([{ line: 5, text: "{}" }]);
  const [line] = await exported(stores);
  expect(JSON.parse(line!)).toMatchObject({
    event_id: lineEventId(lines[1]!),
    key: "k",
    content: "c",
    ts: 1,
  });
});

test("the same event id with other content is rejected, in one batch and in the next; the first one stays", async () => {
  const stores = embedded();
  const first = '{"event_id":"e","key":"k","content":"first","ts":1}';
  const other = '{"event_id":"e","key":"k","content":"other","ts":1}';
  expect((await importAll(stores, [first, other])).report).toMatchObject({ imported: 1, rejected: 1 });
  expect((await importAll(stores, [other, first])).report).toMatchObject({
    imported: 0,
    duplicates: 1,
    rejected: 1,
  });
  expect((await exported(stores)).map((line) => JSON.parse(line).content)).toEqual(["first"]);
});

test("more lines than a batch holds, each with its number", async () => {
  const stores = embedded();
  const lines = Array.from({ length: 2500 }, (_, index) =>
    index % 1000 === 999 ? "x" : `{"key":"k${index}","content":"c"}`,
  );
  const { report, rejections } = await importAll(stores, lines);
  expect(report).toMatchObject({ lines: 2500, imported: 2498, rejected: 2 });
  expect(rejections.map(({ line }) => line)).toEqual([1000, 2000]);
});
