import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { publish, publishFile } from "../../src/publish.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-publish-"));
  path = join(folder, "a");
});
afterEach(() => rmSync(folder, { recursive: true }));

const modeOf = (name: string) => statSync(name).mode & 0o777;

it("gives a file its name only when it is whole, with its permissions", async () => {
  writeFileSync(path, "before");
  await publish(path, 0o640, async (partial) => {
    writeFileSync(partial, "half");
    expect(readFileSync(path, "utf8")).toBe("before");
    expect(modeOf(partial)).toBe(0o600);
    writeFileSync(partial, "whole");
  });
  expect(readFileSync(path, "utf8")).toBe("whole");
  expect(modeOf(path)).toBe(0o640);
  expect(readdirSync(folder)).toEqual(["a"]);
});

it("leaves what was there, and nothing else, when writing fails", async () => {
  writeFileSync(path, "before");
  const failing = publish(path, 0o600, async (partial) => {
    writeFileSync(partial, "half");
    throw new Error("no more");
  });
  await expect(failing).rejects.toThrow("no more");
  expect(readFileSync(path, "utf8")).toBe("before");
  expect(readdirSync(folder)).toEqual(["a"]);
});

it("a text takes over the permissions of the file that it replaces", async () => {
  await publishFile(path, "é");
  expect(modeOf(path)).toBe(0o666 & ~process.umask());
  rmSync(path);
  writeFileSync(path, "", { mode: 0o600 });
  await publishFile(path, "é");
  expect(modeOf(path)).toBe(0o600);
  expect(readFileSync(path, "utf8")).toBe("é");
});

it("what is no usual file is written to, not replaced", async () => {
  writeFileSync(path, "before");
  const [link, device] = [join(folder, "link"), join(folder, "device")];
  symlinkSync(path, link);
  symlinkSync("/dev/null", device);
  await publishFile(link, "text");
  await publishFile(device, "text");
  expect(readFileSync(path, "utf8")).toBe("text");
  expect([link, device].map((name) => lstatSync(name).isSymbolicLink())).toEqual([true, true]);
  expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
});
