/** Archives that stock tar writes are read; what a set never holds ends with its name. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SetGuard } from "../../../src/backup/set-guard.ts";
import { type Enter, readTar } from "../../../src/backup/tar-reader.ts";
import { type RawEntry, rawTar } from "./set-kit.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-tar-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function* slices(bytes: Buffer, size = 700) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Buffer, guard?: SetGuard): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const enter: Enter = (...entry) => guard?.enter(...entry) ?? entry[0];
  for await (const { path, isFolder, content } of readTar(slices(bytes), "x.tar", enter)) {
    let text = "";
    for await (const chunk of content) text += Buffer.from(chunk).toString("latin1");
    found[path] = isFolder ? "folder" : text;
  }
  return found;
}

describe("readTar", () => {
  it.each(["ustar", "gnu", "v7"])(
    "reads what GNU tar writes as %s, or says that it is no ustar",
    async (format) => {
      const set = join(folder, format);
      const long = "p".repeat(60);
      mkdirSync(join(set, "N", long), { recursive: true });
      writeFileSync(join(set, "N", "a"), "alpha");
      writeFileSync(join(set, "N", long, "q".repeat(30)), "x".repeat(1000));
      const tar = execFileSync("tar", ["-c", `--format=${format}`, "-C", set, "N"]);
      if (format === "v7") return expect(read(tar)).rejects.toThrow("a header is not ustar");
      expect(await read(tar)).toEqual({
        "N/": "folder",
        "N/a": "alpha",
        [`N/${long}/`]: "folder",
        [`N/${long}/${"q".repeat(30)}`]: "x".repeat(1000),
      });
    },
  );

  it("joins the two parts of a long path", async () => {
    const set = join(folder, "long");
    const long = "d".repeat(90);
    mkdirSync(join(set, long), { recursive: true });
    writeFileSync(join(set, long, "e".repeat(90)), "deep");
    const tar = execFileSync("tar", ["-c", "--format=ustar", "-C", set, long]);
    expect(await read(tar)).toMatchObject({ [`${long}/${"e".repeat(90)}`]: "deep" });
  });

  it("reads a size in base 256", async () => {
    const tar = rawTar([{ path: "N/a", content: Buffer.from("four") }]);
    Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4]).copy(tar, 124);
    tar.write("        ", 148);
    const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    expect(await read(tar)).toEqual({ "N/a": "four" });
  });

  it("passes over what nobody read", async () => {
    const tar = rawTar([
      { path: "N/a", content: Buffer.alloc(5000, "a") },
      { path: "N/b", content: Buffer.from("b") },
    ]);
    const paths: string[] = [];
    for await (const { path } of readTar(slices(tar), "x.tar", (path) => path)) paths.push(path);
    expect(paths).toEqual(["N/a", "N/b"]);
  });

  const whole = rawTar([{ path: "N/a", content: Buffer.alloc(2000, "a") }]);
  it.each([
    { what: "in the header", length: 300, message: /^x\.tar: the archive ends at byte 300/ },
    { what: "in a file", length: 1512, message: /^N\/a: it ends after 1000 of 2000 bytes/ },
    { what: "in the fill of a file", length: 2520, message: /^N\/a: the archive ends at byte 2520/ },
    { what: "before its end", length: 2560, message: /^x\.tar: the archive ends at byte 2560/ },
    { what: "in its end", length: 3072, message: /^x\.tar: the archive ends at byte 3072/ },
  ])("names the place where an archive was cut off: $what", async ({ length, message }) => {
    await expect(read(whole.subarray(0, length))).rejects.toThrow(message);
  });

  it.each([
    { what: "more files after the end", after: rawTar([{ path: "N/b" }]) },
    { what: "other bytes after the end", after: Buffer.from("x".repeat(512)) },
    { what: "zeros without an end", after: Buffer.alloc(2 * 1024 * 1024) },
  ])("refuses $what", async ({ after }) => {
    await expect(read(Buffer.concat([whole, after]))).rejects.toThrow("something follows the end");
  });

  it("finds every flipped bit of a header", async () => {
    for (let bit = 0; bit < 512 * 8; bit += 37) {
      const flipped = Buffer.from(whole);
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      const found = await read(flipped).catch((error: Error) => error);
      // one flip in the sum itself may leave the same number, with another blank
      if (!(found instanceof Error)) expect(found).toEqual({ "N/a": "a".repeat(2000) });
    }
  });
});

describe("SetGuard", () => {
  const file = (path: string, more: Partial<RawEntry> = {}): RawEntry => ({ path, ...more });
  it.each([
    {
      what: "a symbolic link",
      entries: [file("N/a", { type: "2", link: "/etc/passwd" })],
      message: /^a: it is a symbolic link/,
    },
    {
      what: "a hard link",
      entries: [file("N/a", { type: "1", link: "N/b" })],
      message: /^a: it is a hard link/,
    },
    { what: "a device", entries: [file("N/a", { type: "3" })], message: /^a: it is a device/ },
    { what: "a pipe", entries: [file("N/a", { type: "6" })], message: /^a: it is a pipe/ },
    {
      what: "an extended header",
      entries: [file("N/a", { type: "x" })],
      message: /^a: it is an entry of an unknown kind/,
    },
    {
      what: "a GNU long name",
      entries: [file("N/a", { type: "L" })],
      message: /^a: it is an entry of an unknown kind/,
    },
    { what: "an absolute path", entries: [file("/N/a")], message: /unsafe path "\/N\/a"/ },
    { what: "a path that leads out", entries: [file("N/../../a")], message: /unsafe path/ },
    { what: "a path of two dots", entries: [file("..")], message: /unsafe path/ },
    { what: "a dot in a path", entries: [file("N/./a")], message: /unsafe path/ },
    { what: "a backslash", entries: [file("N\\a")], message: /unsafe path "N\\\\a"/ },
    { what: "a line break", entries: [file("N/a\nb")], message: /unsafe path "N\/a\\nb"/ },
    { what: "an invisible character", entries: [file("N/a\u202eb")], message: /unsafe path/ },
    { what: "a file twice", entries: [file("N/a"), file("N/a")], message: /^a: it is in the archive twice/ },
    { what: "a second folder", entries: [file("N/a"), file("M/a")], message: /^M\/a: it is outside/ },
    { what: "a file beside the folder", entries: [file("metadata.json")], message: /it is outside/ },
    {
      what: "a folder with bytes",
      entries: [file("N/", { type: "5", size: 9 })],
      message: /a header has a size that cannot be/,
    },
    {
      what: "a file too large",
      entries: [file("N/a", { size: 70_000_000 })],
      message: /67108864 are possible/,
    },
  ])("refuses $what", async ({ entries, message }) => {
    await expect(read(rawTar(entries), new SetGuard("x.tar", 1000, undefined))).rejects.toThrow(message);
  });

  it("ends at too many entries", async () => {
    const guard = new SetGuard("x.tar", 1000, undefined);
    const enter = () => {
      for (let index = 0; index <= 100_000; index += 1) guard.enter(`N/${index}`, false, 0);
    };
    expect(enter).toThrow("x.tar: it has more than 100000 entries");
  });
});
