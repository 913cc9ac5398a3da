import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sizeOfFolder } from "../../src/folders.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-folders-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("all files below, links not followed; no answer beyond so many entries", async () => {
  mkdirSync(join(dir, "a", "b"), { recursive: true });
  writeFileSync(join(dir, "a", "b", "one"), "x".repeat(100));
  writeFileSync(join(dir, "two"), "x".repeat(20));
  symlinkSync(join(dir, "a"), join(dir, "link"));
  symlinkSync(dir, join(dir, "a", "loop"));
  expect(await sizeOfFolder(dir)).toBe(120);
  // a, b, one, two, link, loop
  expect([await sizeOfFolder(dir, 6), await sizeOfFolder(dir, 5)]).toEqual([120, null]);
  expect(await sizeOfFolder(join(dir, "none"))).toBeNull();
});
