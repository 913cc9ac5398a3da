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

/** A record of an extended header. */
function pax(keyword: string, value: string | Buffer, length?: number): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${keyword}=`), Buffer.from(value), Buffer.from("\n")]);
  let total = rest.length;
  while (total !== rest.length + `${total}`.length) total = rest.length + `${total}`.length;
  return Buffer.concat([Buffer.from(`${length ?? total}`), rest]);
}

const extended = (type: "x" | "g" | "L" | "K", ...content: Buffer[]): RawEntry => ({
  path: "./PaxHeaders/a",
  type,
  content: Buffer.concat(content),
});

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
  it.each(["ustar", "gnu", "posix", "v7"])(
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

  it.each(["posix", "gnu"])("reads names that no header has room for, as %s", async (format) => {
    const set = join(folder, `names-${format}`);
    // cut off in the middle of a letter
    const long = ["N", "ü".repeat(70), "d".repeat(90), "e".repeat(90)];
    mkdirSync(join(set, ...long), { recursive: true });
    writeFileSync(join(set, ...long, "größe"), "deep");
    const tar = execFileSync("tar", ["-c", `--format=${format}`, "-C", set, "N"]);
    expect(await read(tar)).toMatchObject({
      [`${long.join("/")}/`]: "folder",
      [`${long.join("/")}/größe`]: "deep",
    });
  });

  it("passes over what a pax header says besides, bytes that are no text among it", async () => {
    const records = [
      pax("mtime", "1700000000.5"),
      pax("SCHILY.xattr.user.x", Buffer.from([0xff, 10, 61, 0])),
      pax("uname", "ann"),
    ];
    const tar = rawTar([
      { path: "pax_global_header", type: "g", content: pax("comment", "0123abc") },
      extended("x", ...records),
      { path: "N/a", content: Buffer.from("alpha") },
      { path: "N/b", content: Buffer.from("beta") },
    ]);
    expect(await read(tar)).toEqual({ "N/a": "alpha", "N/b": "beta" });
  });

  it("takes a size beside the header where that has no room for it", async () => {
    const size = 2 ** 33;
    const tar = rawTar([
      extended("x", pax("size", `${size}`)),
      { path: "N/a", content: Buffer.from("alpha") },
    ]);
    await expect(read(tar)).rejects.toThrow(/^N\/a: it ends after \d+ of 8589934592 bytes/);
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

  const a = file("N/a", { content: Buffer.from("alpha") });
  const named = (path: string | Buffer) => extended("x", pax("path", path));
  const long = (name: string) => extended("L", Buffer.from(name));
  it.each([
    {
      what: "a pax path that leads out",
      entries: [named("N/../../out"), a],
      message: /unsafe path "N\/\.\.\/\.\.\/out"/,
    },
    { what: "an absolute pax path", entries: [named("/etc/cron.d/x"), a], message: /unsafe path "\/etc/ },
    { what: "a NUL in a pax path", entries: [named("N/a\0b"), a], message: /unsafe path "N\/a\\u0000b"/ },
    {
      what: "a pax path into another folder",
      entries: [a, named("M/a"), a],
      message: /^M\/a: it is outside/,
    },
    {
      what: "a pax path of another file",
      entries: [a, named("N/a"), file("N/b")],
      message: /^a: it is in the archive twice/,
    },
    { what: "an empty pax path", entries: [named(""), a], message: /path is empty/ },
    {
      what: "a pax path that is not UTF-8",
      entries: [named(Buffer.from([0x4e, 0x2f, 0xff])), a],
      message: /not UTF-8/,
    },
    {
      what: "a keyword twice",
      entries: [extended("x", pax("path", "N/b"), pax("path", "N/c")), a],
      message: /says "path" twice/,
    },
    {
      what: "a record that says it is longer",
      entries: [extended("x", pax("path", "N/b", 99)), a],
      message: /length that cannot be/,
    },
    {
      what: "a record that says it is shorter",
      entries: [extended("x", pax("path", "N/bbbb", 10)), a],
      message: /length that cannot be/,
    },
    {
      what: "a record of no length",
      entries: [extended("x", pax("path", "N/b", 0)), a],
      message: /length that cannot be/,
    },
    {
      what: "a record of a negative length",
      entries: [extended("x", pax("path", "N/b", -13)), a],
      message: /length that cannot be/,
    },
    {
      what: "a record without a keyword",
      entries: [extended("x", pax("", "N/b")), a],
      message: /length that cannot be/,
    },
    {
      what: "a record that is none",
      entries: [extended("x", Buffer.alloc(9, "9")), a],
      message: /length that cannot be/,
    },
    {
      what: "another size than the header's",
      entries: [extended("x", pax("size", "3")), a],
      message: /have two sizes/,
    },
    {
      what: "a size of a folder",
      entries: [extended("x", pax("size", "8589934592")), file("N/", { type: "5" })],
      message: /size that cannot be/,
    },
    {
      what: "a size that is no number",
      entries: [extended("x", pax("size", "-5")), a],
      message: /size that cannot be/,
    },
    {
      what: "a size that no number has",
      entries: [extended("x", pax("size", "9".repeat(16))), a],
      message: /size that cannot be/,
    },
    {
      what: "a size beyond what is possible",
      entries: [extended("x", pax("size", "8589934592")), a],
      message: /67108864 are possible/,
    },
    {
      what: "a link's target in a pax header",
      entries: [extended("x", pax("linkpath", "/etc/passwd")), a],
      message: /a link/,
    },
    {
      what: "a sparse file in a pax header",
      entries: [extended("x", pax("GNU.sparse.name", "N/a")), a],
      message: /sparse/,
    },
    {
      what: "two headers for one entry",
      entries: [named("N/b"), named("N/c"), a],
      message: /follows another entry's/,
    },
    {
      what: "two kinds of headers for one entry",
      entries: [long("N/b\0"), named("N/c"), a],
      message: /follows another entry's/,
    },
    { what: "a header of no entry", entries: [a, named("N/b")], message: /no entry follows/ },
    {
      what: "a header that renames a link",
      entries: [named("N/b"), file("N/a", { type: "2", link: "/etc" })],
      message: /^b: it is a symbolic link/,
    },
    {
      what: "a name for all entries",
      entries: [extended("g", pax("path", "N/b")), a],
      message: /sets their path/,
    },
    {
      what: "a size for all entries",
      entries: [extended("g", pax("size", "5")), a],
      message: /sets their size/,
    },
    {
      what: "a header for all, later",
      entries: [a, extended("g", pax("comment", "x"))],
      message: /follows another entry's/,
    },
    {
      what: "a header that is too large",
      entries: [extended("x", pax("comment", "x".repeat(70_000))), a],
      message: /more than 65536 bytes/,
    },
    {
      what: "a header of 8 GiB",
      entries: [file("x", { type: "x", size: 0o77777777777 })],
      message: /more than 65536 bytes/,
    },
    { what: "a long name that leads out", entries: [long("N/../a\0"), a], message: /unsafe path/ },
    { what: "a long name without an end", entries: [long("N/b"), a], message: /does not end/ },
    {
      what: "a long name with something after it",
      entries: [long("N/b\0/../c"), a],
      message: /does not end/,
    },
    {
      what: "a long target of a link",
      entries: [extended("K", Buffer.from("/etc\0")), a],
      message: /an entry is a link/,
    },
  ])("refuses $what", async ({ entries, message }) => {
    await expect(read(rawTar(entries), new SetGuard("x.tar", 1000, undefined))).rejects.toThrow(message);
  });

  it.each([
    { flags: ["-C", "S", "."] },
    { flags: ["./S"] },
    { flags: ["S"] },
    { flags: ["--format=posix", "-C", "S", "."] },
    { flags: ["--format=posix", "./S"] },
  ])("finds the same files in what tar -c $flags makes", async ({ flags }) => {
    mkdirSync(join(folder, "S", "sub"), { recursive: true });
    for (const path of ["a", "sub/b"]) writeFileSync(join(folder, "S", path), path);
    const tar = execFileSync("tar", ["-c", ...flags], { cwd: folder });
    const found = await read(tar, new SetGuard("x.tar", 1000, undefined));
    expect(found).toEqual({ "": "folder", sub: "folder", a: "a", "sub/b": "sub/b" });
  });

  const dot = file("./", { type: "5" });
  it.each([
    { what: "a dot within a dot", entries: [dot, file("././a")], message: /unsafe path "\.\/\.\/a"/ },
    { what: "a path out of a dot", entries: [dot, file("./../a")], message: /unsafe path "\.\/\.\.\/a"/ },
    { what: "an absolute path after a dot", entries: [dot, file(".//etc/a")], message: /unsafe path/ },
    {
      what: "a file beside the dot",
      entries: [dot, file("a")],
      message: /^a: it is outside of the set's folder \.\//,
    },
    { what: "the dot twice", entries: [dot, dot], message: /unsafe path "\.\/"/ },
    { what: "the dot after a folder", entries: [file("./N/a"), dot], message: /unsafe path "\.\/"/ },
    { what: "a file that is the dot", entries: [file(".")], message: /unsafe path "\."/ },
    {
      what: "a file with a dot before it and without",
      entries: [file("./N/a"), file("N/a")],
      message: /^a: it is in the archive twice/,
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
