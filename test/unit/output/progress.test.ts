import { expect, test } from "vitest";
import type { Progress } from "../../../src/call.ts";
import { waitingLine } from "../../../src/output/progress.ts";

test.each<[Progress, string]>([
  [
    { label: "V004-big-up.sql", done: 1, total: 5, unit: "statements" },
    "V004-big-up.sql: statement 2 of 5, 8 s",
  ],
  [{ label: "V004-big-up.sql", done: 0, total: 3, unit: "files" }, "V004-big-up.sql: file 1 of 3, 8 s"],
  [
    { label: "V004-big-up.sql", done: 5, total: 5, unit: "statements" },
    "V004-big-up.sql: statement 5 of 5, 8 s",
  ],
  [{ label: "importing", done: 10, unit: "rows" }, "importing, 8 s"],
])("what is waited for: %j", (event, line) => {
  expect(waitingLine(event, 8_200)).toBe(line);
});
