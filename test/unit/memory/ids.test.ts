import fc from "fast-check";
import { expect, test } from "vitest";
import { digestOf, lineEventId, newEventId, recordId } from "../../../src/memory/ids.ts";

const UUID = (version: number) =>
  new RegExp(`^[0-9a-f]{8}-[0-9a-f]{4}-${version}[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`);

test("ids made from text are stable: another version, another host, the same id", () => {
  expect(recordId("default", "issue:connection-timeout", "Increased the pool timeout to 30s", null)).toBe(
    "be2a4f5b-329a-8a3f-b7ed-ada44b8ed5f8",
  );
  expect(lineEventId('{"key":"k","content":"c"}')).toBe("2997238c-09e6-8a37-89d7-865483012a88");
  expect(digestOf([1, "a"])).toBe("2010945388e2de98f5651051478912aa");
});

test("a record's id is a UUIDv8, and every part of the text counts", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (key, content, details) => {
      const id = recordId("default", key, content, details);
      expect(id).toMatch(UUID(8));
      expect(recordId("default", key, content, null)).not.toBe(id);
      expect(recordId("other", key, content, details)).not.toBe(id);
      expect(recordId("default", `${key}${content}`, "", details)).not.toBe(content === "" ? "" : id);
    }),
  );
});

test("an event's id is a UUIDv7: unique, and ordered by time", () => {
  const now = Date.UTC(2026, 2, 1);
  const ids = Array.from({ length: 1000 }, () => newEventId(now));
  for (const id of ids) expect(id).toMatch(UUID(7));
  expect(new Set(ids).size).toBe(ids.length);
  expect(newEventId(now) < newEventId(now + 1)).toBe(true);
  expect(Number.parseInt(newEventId(now).replace("-", "").slice(0, 12), 16)).toBe(now);
});
