/** Archives that only an enemy or a broken disk makes: exit code 23, and nothing of them anywhere. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readArchive, sidecarPath } from "../../../src/backup/archives.ts";
import type { Metadata } from "../../../src/backup/metadata.ts";
import { createCall } from "../../../src/call.ts";
import { OpsError } from "../../../src/errors.ts";
import { stageSet } from "../../../src/restore/stage.ts";
import { makeSet, type RawEntry, rawTar } from "../backup/set-kit.ts";
import {
  entriesFor,
  leftIn,
  metadataFor,
  NAME,
  PARTS,
  pack,
  stage,
  stageFolder,
  writeArchive,
} from "./stage-kit.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-hostile-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const TARGET = `${NAME}/sqlite/a.db`;

/** It is refused as damaged, in these words, with nothing left, whoever trusts it. */
async function refused(path: string, message: RegExp): Promise<void> {
  const before = leftIn(folder).filter((name) => name !== "stage");
  const error = await stage(folder, path).then(
    () => expect.unreachable("it was staged"),
    (error: OpsError) => error,
  );
  expect(error).toMatchObject({ name: "OpsError", code: "integrity" });
  expect(error.message).toMatch(message);
  expect(error.message).toMatch(/^20261121_030000/);
  expect(leftIn(stageFolder(folder))).toEqual([]);
  expect(leftIn(folder).filter((name) => name !== "stage")).toEqual(before);
}

const replaced = (edit: Partial<RawEntry>) =>
  entriesFor(PARTS).map((entry) => (entry.path === TARGET ? { ...entry, ...edit } : entry));
const without = (path: string) => entriesFor(PARTS).filter((entry) => entry.path !== path);
const page = PARTS[1]!.files[0]!.content;

describe("entries", () => {
  const added = (...entries: RawEntry[]) => [...entriesFor(PARTS), ...entries];
  const cases: { what: string; entries: RawEntry[]; message: RegExp }[] = [
    {
      what: "a path out of the folder",
      entries: added({ path: `${NAME}/../../out` }),
      message: /unsafe path/,
    },
    { what: "an absolute path", entries: added({ path: "/tmp/opsctl-out" }), message: /unsafe path/ },
    { what: "a second folder", entries: added({ path: "other/a" }), message: /other\/a: it is outside/ },
    {
      what: "a symbolic link instead of a file",
      entries: replaced({ type: "2", link: "/etc/passwd", content: Buffer.alloc(0) }),
      message: /sqlite\/a\.db: it is a symbolic link/,
    },
    {
      what: "a link to a folder outside, and a file through it",
      entries: [
        ...without(TARGET),
        { path: `${NAME}/sqlite`, type: "2", link: "/tmp" },
        { path: TARGET, content: page },
      ],
      message: /sqlite: it is a symbolic link/,
    },
    {
      what: "a hard link",
      entries: replaced({ type: "1", link: `${NAME}/metadata.json`, content: Buffer.alloc(0) }),
      message: /sqlite\/a\.db: it is a hard link/,
    },
    {
      what: "a character device",
      entries: added({ path: `${NAME}/null`, type: "3" }),
      message: /null: it is a device/,
    },
    {
      what: "a block device",
      entries: added({ path: `${NAME}/sda`, type: "4" }),
      message: /sda: it is a device/,
    },
    { what: "a pipe", entries: replaced({ type: "6", content: Buffer.alloc(0) }), message: /it is a pipe/ },
    { what: "a sparse file", entries: replaced({ type: "S" }), message: /unknown kind/ },
    {
      what: "a pax header that renames what follows",
      entries: entriesFor(PARTS).flatMap((entry) =>
        entry.path === TARGET
          ? [{ path: "x", type: "x", content: Buffer.from("18 path=/etc/cron\n") }, entry]
          : [entry],
      ),
      message: /unsafe path "\/etc\/cron"/,
    },
    {
      what: "a pax header that gives a file another place in the set",
      entries: entriesFor(PARTS).flatMap((entry) =>
        entry.path === TARGET
          ? [{ path: "x", type: "x", content: Buffer.from(`36 path=${NAME}/sqlite/b.db\n`) }, entry]
          : [entry],
      ),
      message: /sqlite\/b\.db: the metadata does not name it/,
    },
    {
      what: "a pax header for all that follows",
      entries: [
        { path: "pax_global_header", type: "g", content: Buffer.from("13 size=1024\n") },
        ...entriesFor(PARTS),
      ],
      message: /a header for all entries sets their size/,
    },
    {
      what: "a file twice",
      entries: added({ path: TARGET, content: page }),
      message: /it is in the archive twice/,
    },
    {
      what: "metadata twice",
      entries: added({ path: `${NAME}/metadata.json`, content: Buffer.from("{}") }),
      message: /metadata\.json: it is in the archive twice/,
    },
    {
      what: "a file that the metadata does not name",
      entries: added({ path: `${NAME}/sqlite/b.db`, content: page }),
      message: /sqlite\/b\.db: the metadata does not name it/,
    },
    { what: "a missing file", entries: without(TARGET), message: /sqlite\/a\.db: it is missing/ },
    {
      what: "no metadata",
      entries: without(`${NAME}/metadata.json`),
      message: /metadata\.json: it is missing/,
    },
    {
      what: "a shorter file",
      entries: replaced({ content: page.subarray(1) }),
      message: /sqlite\/a\.db: it has 29999 bytes, and the metadata says 30000/,
    },
    {
      what: "other bytes",
      entries: replaced({ content: Buffer.alloc(30_000, "egap") }),
      message: /sqlite\/a\.db: its SHA-256 is not that of the metadata/,
    },
    {
      what: "a size in its header that is not that of its bytes",
      entries: replaced({ size: 29_000 }),
      message: /29000 bytes/,
    },
    {
      what: "two files swapped",
      entries: entriesFor(
        [
          { ...PARTS[0]!, files: [PARTS[0]!.files[0]!] },
          { ...PARTS[1]!, files: [{ ...PARTS[1]!.files[0]!, content: Buffer.from("PGDMP custom") }] },
        ],
        metadataFor(PARTS),
      ),
      message: /sqlite\/a\.db: it has 12 bytes/,
    },
  ];
  it.each(cases)("are refused: $what", async ({ entries, message }) => {
    await refused(writeArchive(folder, pack(entries), metadataFor(PARTS)), message);
  });

  it("get no rights from the archive, however it was packed", async () => {
    const tar = rawTar(entriesFor(PARTS));
    for (let at = 0; at + 512 <= tar.length; at += 512) {
      if (tar.toString("latin1", at + 257, at + 262) !== "ustar") continue;
      tar.write("0004755\0", at + 100);
      tar.write("        ", at + 148);
      const sum = tar.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
      tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148);
    }
    const { parts } = await stage(folder, writeArchive(folder, gzipSync(tar), metadataFor(PARTS)));
    const modes = parts.flatMap(({ files }) => files.map(({ local }) => statSync(local).mode & 0o7777));
    expect(modes).toEqual([0o600, 0o600]);
  });
});

describe("metadata", () => {
  const forged = (edit: (metadata: Metadata) => void) => {
    const metadata = metadataFor(PARTS);
    edit(metadata);
    return writeArchive(folder, pack(entriesFor(PARTS, metadata)), metadata);
  };
  it.each<{ what: string; edit: (metadata: Metadata) => void; message: RegExp }>([
    {
      what: "says that a file is larger",
      edit: ({ files }) => (files[2]!.size_bytes = 30_001),
      message: /it has 30000 bytes, and the metadata says 30001/,
    },
    {
      what: "says that a file is larger than any disk",
      edit: ({ files }) => (files[2]!.size_bytes = 2 ** 52),
      message: /it has 30000 bytes, and the metadata says 4503599627370496/,
    },
    {
      what: "says that a file is smaller",
      edit: ({ files }) => (files[2]!.size_bytes = 1),
      message: /it has 30000 bytes, and the metadata says 1$/,
    },
    {
      what: "has another digest",
      edit: ({ files }) => (files[2]!.sha256 = "0".repeat(64)),
      message: /sqlite\/a\.db: its SHA-256/,
    },
    {
      what: "gives a file of one engine to another",
      edit: ({ parts }) => (parts[1]!.engine = "redis"),
      message: /sqlite\/a\.db: a file of redis cannot be sqlite-database/,
    },
    {
      what: "has two parts that go to one place",
      edit: ({ parts }) => Object.assign(parts[1]!, { engine: "postgres", name: "app" }),
      message: /the part postgres app is in it twice/,
    },
    {
      what: "gives a file to two parts",
      edit: ({ parts }) => parts[1]!.files.push("postgres/app.dump"),
      message: /a file belongs to two parts/,
    },
    {
      what: "names a file outside",
      edit: ({ files, parts }) => {
        files[2]!.path = "../../a.db";
        parts[1]!.files = ["../../a.db"];
      },
      message: /sqlite\/a\.db: the metadata does not name it/,
    },
  ])("is refused that $what", async ({ edit, message }) => {
    await refused(forged(edit), message);
  });

  it("inside is that of the sidecar", async () => {
    const inner = metadataFor(PARTS);
    inner.parts[0]!.counts["rows"] = 4;
    await refused(
      writeArchive(folder, pack(entriesFor(PARTS, inner)), metadataFor(PARTS)),
      /metadata\.json: it is not what the sidecar says/,
    );
  });

  it.each([
    { what: "is no JSON", text: '{"format":"opsctl-backup",', message: /metadata\.json: it is no JSON/ },
    { what: "has nothing in it", text: '{"format":"opsctl-backup","format_version":1}', message: /must be/ },
  ])("without a sidecar is refused when it $what", async ({ text, message }) => {
    const entries = entriesFor(PARTS).map((entry) =>
      entry.path.endsWith("metadata.json") ? { ...entry, content: Buffer.from(text) } : entry,
    );
    await refused(writeArchive(folder, pack(entries), null), message);
  });

  it("of 65 MiB is refused before it is read", async () => {
    const huge = { path: `${NAME}/metadata.json`, size: 65 * 1024 * 1024 };
    await refused(
      writeArchive(folder, pack([huge]), null),
      /metadata\.json: it has 68157440 bytes: that is no metadata|are possible/,
    );
  });
});

describe("bombs", () => {
  it("end at a thousand times their size, also when the metadata says the same", async () => {
    const zeros = 80 * 1024 * 1024;
    const hash = createHash("sha256");
    for (let left = zeros; left > 0; left -= 1024 * 1024) hash.update(Buffer.alloc(1024 * 1024));
    const metadata = metadataFor(PARTS.slice(1));
    Object.assign(metadata.files[0]!, { size_bytes: zeros, sha256: hash.digest("hex") });
    const entries = entriesFor([{ ...PARTS[1]!, files: [] }], metadata);
    const start = rawTar([...entries, { path: TARGET, size: zeros }]).subarray(0, -1024);
    const packed = execFileSync("sh", ["-c", `{ cat; head -c ${zeros + 1024} /dev/zero; } | zstd -c`], {
      input: start,
    });
    const path = writeArchive(folder, packed, metadata).replace(".gz", ".zst");
    writeFileSync(path, packed);
    rmSync(path.replace(".zst", ".gz"));
    rmSync(join(folder, `${NAME}.json`));
    await refused(path, /with it the set holds \d+ bytes, and 67108864 are possible/);
  });
});

describe("bytes of the archive", () => {
  const own = () => writeArchive(folder, pack(entriesFor(PARTS)), metadataFor(PARTS));
  const random = (seed: number) => {
    let state = seed;
    return (below: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  };

  it("one bit of which was flipped are noticed: with and without sidecar", async () => {
    const path = own();
    const bytes = readFileSync(path);
    const next = random(42);
    for (let nth = 0; nth < 30; nth += 1) {
      const flipped = Buffer.from(bytes);
      // without a sidecar the head of a gzip says what nobody compares: when it was made, and where
      flipped[10 + next(bytes.length - 10)]! ^= 1 << next(8);
      writeFileSync(path, flipped);
      await refused(path, /./);
    }
    rmSync(sidecarPath(path));
    for (let nth = 0; nth < 15; nth += 1) {
      const flipped = Buffer.from(bytes);
      flipped[10 + next(bytes.length - 10)]! ^= 1 << next(8);
      writeFileSync(path, flipped);
      await refused(path, /./);
    }
  });

  it.each(["tar.gz", "tar.zst"] as const)("%s: cut off anywhere", async (container) => {
    const { path } = await makeSet(
      folder,
      container,
      { "sqlite/a.db": Buffer.alloc(100_000, "xyz") },
      { name: NAME },
    );
    const bytes = readFileSync(path);
    const next = random(7);
    for (const length of [0, 1, bytes.length - 1, ...Array.from({ length: 10 }, () => next(bytes.length))]) {
      writeFileSync(path, bytes);
      truncateSync(path, length);
      await refused(path, /its sidecar says/);
    }
    rmSync(sidecarPath(path));
    for (const length of [0, 1, bytes.length - 1, ...Array.from({ length: 10 }, () => next(bytes.length))]) {
      writeFileSync(path, bytes);
      truncateSync(path, length);
      await refused(path, /./);
    }
  });

  it.each([
    { what: "zeros", after: Buffer.alloc(4096) },
    { what: "text", after: Buffer.from("; rm -rf /") },
    { what: "another archive", after: pack(entriesFor(PARTS)) },
  ])("with $what behind them", async ({ after }) => {
    const packed = Buffer.concat([pack(entriesFor(PARTS)), after]);
    await refused(writeArchive(folder, packed, metadataFor(PARTS)), /follows the end|no header|damaged/);
    await refused(writeArchive(folder, packed, null), /./);
  });

  it("that are not those of the sidecar, though the set is whole", async () => {
    const path = own();
    const packed = gzipSync(rawTar(entriesFor(PARTS)), { level: 1 });
    const sidecar = JSON.parse(readFileSync(sidecarPath(path), "utf8"));
    writeFileSync(path, packed);
    writeFileSync(sidecarPath(path), JSON.stringify({ ...sidecar, size_bytes: packed.length }));
    await refused(path, /its SHA-256 is not that of its sidecar/);
  });

  it("beside the sidecar of another archive", async () => {
    const other = mkdtempSync(join(tmpdir(), "opsctl-other-"));
    try {
      const parts = [{ ...PARTS[1]!, files: [{ ...PARTS[1]!.files[0]!, content: Buffer.alloc(10) }] }];
      const theirs = writeArchive(other, pack(entriesFor(parts)), metadataFor(parts));
      const path = own();
      cpSync(sidecarPath(theirs), sidecarPath(path));
      await refused(path, /its sidecar says/);
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });

  it("beside a sidecar that cannot be read", async () => {
    const path = own();
    writeFileSync(sidecarPath(path), '{"format":');
    await refused(path, /is no JSON/);
  });
});

describe("what is no file", () => {
  const odd: { what: string; make: (path: string) => void; message: RegExp }[] = [
    { what: "a pipe", make: (path) => execFileSync("mkfifo", [path]), message: /it is no file/ },
    { what: "a link to a device", make: (path) => symlinkSync("/dev/zero", path), message: /symbolic link/ },
    { what: "a link to a file", make: (path) => symlinkSync("/etc/passwd", path), message: /symbolic link/ },
    { what: "a folder", make: (path) => mkdirSync(path), message: /it is no file/ },
  ];
  it.each(odd)("is not read as an archive: $what", async ({ make, message }) => {
    const path = join(folder, `${NAME}.tar.gz`);
    make(path);
    await refused(path, message);
  });

  it.each(odd.slice(0, 3))("is not read in a folder: $what", async ({ make, message }) => {
    const { path } = await makeSet(folder, "dir", { "sqlite/a.db": page }, { name: NAME });
    rmSync(join(path, "sqlite/a.db"));
    make(join(path, "sqlite/a.db"));
    await refused(path, message);
  });

  it("is not found through a folder that is a link", async () => {
    const { path } = await makeSet(folder, "dir", { "sqlite/a.db": page }, { name: NAME });
    cpSync(join(path, "sqlite"), join(folder, "elsewhere"), { recursive: true });
    rmSync(join(path, "sqlite"), { recursive: true });
    symlinkSync(join(folder, "elsewhere"), join(path, "sqlite"));
    await refused(path, /sqlite: the metadata does not name it/);
  });
});

describe("while it is read", () => {
  it("the end of the call leaves nothing", async () => {
    const path = writeArchive(folder, pack(entriesFor(PARTS)), metadataFor(PARTS));
    const controller = new AbortController();
    const reason = new OpsError({ code: "interrupted", message: "stopped" });
    const call = createCall({
      actor: "t@h",
      signal: controller.signal,
      progress: () => controller.abort(reason),
    });
    const into = stageFolder(folder);
    const options = { folder: into, knows: async () => false, trust: true };
    await expect(stageSet(call, await readArchive(path), options)).rejects.toBe(reason);
    expect(leftIn(into)).toEqual([]);
  });

  it("a folder that cannot be written is named", async () => {
    const path = writeArchive(folder, pack(entriesFor(PARTS)), metadataFor(PARTS));
    const into = join(folder, "missing");
    const options = { folder: into, knows: async () => false, trust: true };
    await expect(stageSet(testCallOf(), await readArchive(path), options)).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining(into),
    });
    expect(existsSync(into)).toBe(false);
  });
});

const testCallOf = () => createCall({ actor: "t@h", signal: new AbortController().signal });
