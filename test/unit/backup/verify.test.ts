/** What a verification finds, and what it leaves in the sidecar. The archives are those of real runs. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Archive, readArchive, sidecarPath } from "../../../src/backup/archives.ts";
import { type Container, parseSidecar } from "../../../src/backup/metadata.ts";
import type { ParseFile } from "../../../src/backup/port.ts";
import { type Verification, verifyArchive } from "../../../src/backup/verify.ts";
import type { VerifyLevel } from "../../../src/backup/verify-set.ts";
import { createCall } from "../../../src/call.ts";
import { OpsError } from "../../../src/errors.ts";
import { testCall } from "../../support/calls.ts";
import { type Files, lineParser, makeSet, rawTar, sha256 } from "./set-kit.ts";

const LINES = Buffer.from("line\n".repeat(40_000));
const FILES: Files = { "sqlite/a.db": LINES, "sqlite/b.db": Buffer.from("\n".repeat(40_000)) };
const CONTAINERS = ["tar.gz", "tar.zst", "dir"] as const;

let folder: string;
let scratch: string;
let seen: Map<string, string>;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-verify-"));
  scratch = mkdtempSync(join(tmpdir(), "opsctl-scratch-"));
  seen = new Map();
});
afterEach(() => {
  // nothing that a parser was given stays behind
  expect(readdirSync(scratch)).toEqual([]);
  for (const path of [folder, scratch]) rmSync(path, { recursive: true, force: true });
});

async function verify(
  archive: Archive,
  level: VerifyLevel = "checksums",
  parser?: ParseFile,
): Promise<Verification> {
  const now = await readArchive(archive.path);
  return verifyArchive(testCall(), now, level, {
    parsers: async () => parser ?? lineParser(seen),
    scratchParent: scratch,
  });
}

const texts = ({ problems }: Verification) => problems.map(({ path, message }) => `${path}: ${message}`);
const sidecarOf = ({ path }: Archive) => parseSidecar(readFileSync(sidecarPath(path), "utf8"), path);

function editSidecar(archive: Archive, edit: (sidecar: ReturnType<typeof sidecarOf>) => void): void {
  const sidecar = sidecarOf(archive);
  edit(sidecar);
  writeFileSync(sidecarPath(archive.path), JSON.stringify(sidecar));
}

/** Makes the archive again from what it holds, as somebody could who has it, with a sidecar that fits. */
function repack(archive: Archive, edit: (set: string) => void): void {
  const work = mkdtempSync(join(tmpdir(), "opsctl-repack-"));
  try {
    execFileSync("tar", ["-xf", archive.path, "-C", work]);
    edit(join(work, archive.name));
    execFileSync("tar", ["-czf", archive.path, "--format=ustar", "-C", work, archive.name]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  fitSidecar(archive);
}

function fitSidecar(archive: Archive): void {
  const bytes = readFileSync(archive.path);
  editSidecar(archive, (sidecar) => {
    sidecar.sha256 = sha256(bytes);
    sidecar.size_bytes = bytes.length;
  });
}

describe("a whole archive", () => {
  const cases = CONTAINERS.flatMap((container) =>
    (["structure", "checksums", "parse"] as const).map((level) => ({ container, level })),
  );
  it.each(cases)("$container, $level: is fine, and its sidecar says so", async ({ container, level }) => {
    const archive = await makeSet(folder, container, FILES);
    const found = await verify(archive, level);
    expect(found).toMatchObject({ ok: true, problems: [], notes: [], level });
    expect(found.files).toEqual([
      { path: "sqlite/a.db", size_bytes: 200_000, ok: true },
      { path: "sqlite/b.db", size_bytes: 40_000, ok: true },
    ]);
    expect(found.parts).toEqual([{ engine: "sqlite", name: "files", compared: level === "parse" ? 2 : 0 }]);
    expect(sidecarOf(archive).verified).toMatchObject({ level });
    if (level === "parse")
      expect(Object.fromEntries(seen)).toEqual(
        Object.fromEntries(Object.entries(FILES).map(([path, content]) => [path, sha256(content)])),
      );
  });

  it("is never recorded lower than it was looked at before", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    await verify(archive, "parse");
    const before = readFileSync(sidecarPath(archive.path));
    await verify(archive, "checksums");
    expect(readFileSync(sidecarPath(archive.path)).equals(before)).toBe(true);
  });

  it.each(CONTAINERS)("gets a sidecar when it has none: %s", async (container) => {
    const archive = await makeSet(folder, container, FILES);
    const before = sidecarOf(archive);
    rmSync(sidecarPath(archive.path));
    expect(await verify(archive, "structure")).toMatchObject({ ok: true });
    expect(existsSync(sidecarPath(archive.path))).toBe(false);
    expect(await verify(archive, "parse")).toMatchObject({ ok: true });
    expect(sidecarOf(archive)).toEqual({ ...before, verified: expect.objectContaining({ level: "parse" }) });
    expect((await readArchive(archive.path)).problem).toBeNull();
  });

  it("is one that GNU tar made of the same files", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    repack(archive, () => {});
    expect(await verify(archive, "parse")).toMatchObject({ ok: true, problems: [] });
  });

  it("is a single file with its sidecar, and cannot be looked at without", async () => {
    const archive = await makeSet(folder, "file", { "sqlite/a.db": LINES }, { name: "copy.db" });
    expect(await verify(archive, "parse")).toMatchObject({
      ok: true,
      files: [{ path: "sqlite/a.db", ok: true }],
    });
    rmSync(sidecarPath(archive.path));
    expect(texts(await verify(archive))).toEqual([
      "copy.db: it has no sidecar, and nothing else says what it must hold",
    ]);
  });
});

describe("a damaged archive", () => {
  const damage = async (container: Container, edit: (archive: Archive) => void, level?: VerifyLevel) => {
    const archive = await makeSet(folder, container, FILES);
    edit(archive);
    const found = await verify(archive, level);
    expect(found.ok).toBe(false);
    return { archive, found };
  };
  const cut = (archive: Archive, bytes: number) =>
    writeFileSync(archive.path, readFileSync(archive.path).subarray(0, -bytes));

  it("is named with the entry, and what can still be read is", async () => {
    const random = { "sqlite/a.db": LINES, "sqlite/r.db": randomBytes(300_000) };
    const archive = await makeSet(folder, "tar.gz", random);
    const bytes = readFileSync(archive.path);
    bytes[bytes.length - 100_000]! ^= 4;
    writeFileSync(archive.path, bytes);
    const found = await verify(archive);
    expect(texts(found)).toEqual([
      expect.stringMatching(
        /^sqlite\/r\.db: it cannot be read from byte 0: the compressed data from its byte \d+ is damaged/,
      ),
      `${basename(archive.path)}: its SHA-256 is not that of its sidecar: its bytes were changed`,
    ]);
    expect(found.files.map(({ ok }) => ok)).toEqual([true, false]);
    expect(sidecarOf(archive).damaged?.message).toMatch(/^sqlite\/r\.db: /);
  });

  it("has its damage forgotten when it is whole again", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    const bytes = readFileSync(archive.path);
    cut(archive, 1);
    await verify(archive);
    expect(sidecarOf(archive).damaged).not.toBeNull();
    writeFileSync(archive.path, bytes);
    await verify(archive, "structure");
    expect(sidecarOf(archive).damaged).not.toBeNull();
    await verify(archive);
    expect(sidecarOf(archive)).toMatchObject({ damaged: null, verified: { level: "checksums" } });
  });

  it.each(["tar.gz", "tar.zst"] as const)("was cut off: %s", async (container) => {
    const { found, archive } = await damage(container, (archive) => cut(archive, 10));
    expect(texts(found)[0]).toMatch(/^2.*: it has \d+ bytes, and its sidecar says \d+$/);
    expect(found.problems.length).toBeGreaterThan(1);
    rmSync(sidecarPath(archive.path));
    expect(await verify(archive)).toMatchObject({ ok: false });
    expect(existsSync(sidecarPath(archive.path))).toBe(false);
  });

  it("has the sidecar of another", async () => {
    const other = await makeSet(folder, "tar.gz", { "sqlite/a.db": Buffer.from("\n") });
    const { found } = await damage("tar.gz", (archive) =>
      cpSync(sidecarPath(other.path), sidecarPath(archive.path)),
    );
    expect(texts(found).join("\n")).toContain("its sidecar says");
    expect(texts(found).join("\n")).toMatch(
      /metadata\.json: it is not what the sidecar says|with it the set holds/,
    );
  });

  it("has a sidecar whose counts were changed", async () => {
    const edit = (archive: Archive) =>
      editSidecar(archive, ({ metadata }) => {
        metadata.parts[0]!.counts["lines"] = 1;
      });
    const { found } = await damage("tar.gz", edit);
    expect(texts(found)).toEqual([
      "metadata.json: it is not what the sidecar says: one of them belongs to another archive, or was changed",
    ]);
  });

  it("has a sidecar that cannot be read, which is left as it is", async () => {
    const { archive, found } = await damage("tar.gz", ({ path }) => writeFileSync(sidecarPath(path), "{"));
    expect(texts(found)).toEqual([expect.stringMatching(/\.json is no JSON: it is damaged$/)]);
    expect(readFileSync(sidecarPath(archive.path), "utf8")).toBe("{");
  });

  it("has lost its file", async () => {
    const { found } = await damage("tar.gz", ({ path }) => rmSync(path));
    expect(texts(found)).toEqual([
      expect.stringMatching(/the archive is missing, only its sidecar is there/),
    ]);
  });

  const forgeries: { what: string; edit: (set: string) => void; problem: RegExp }[] = [
    {
      what: "a changed file",
      edit: (set) => writeFileSync(join(set, "sqlite/a.db"), LINES.toString().replace("line", "lime")),
      problem: /^sqlite\/a\.db: its SHA-256/,
    },
    {
      what: "a shorter file",
      edit: (set) => writeFileSync(join(set, "sqlite/a.db"), "x"),
      problem: /^sqlite\/a\.db: it has 1 bytes, and the metadata says 200000/,
    },
    {
      what: "a missing file",
      edit: (set) => rmSync(join(set, "sqlite/b.db")),
      problem: /^sqlite\/b\.db: it is missing/,
    },
    {
      what: "a file more",
      edit: (set) => writeFileSync(join(set, "sqlite/c.db"), "c"),
      problem: /^sqlite\/c\.db: the metadata does not name it/,
    },
    {
      what: "no metadata",
      edit: (set) => rmSync(join(set, "metadata.json")),
      problem: /^metadata\.json: it is missing/,
    },
    {
      what: "other metadata",
      edit: (set) => writeFileSync(join(set, "metadata.json"), "{}"),
      problem: /^metadata\.json: /,
    },
    {
      what: "a link",
      edit: (set) => {
        rmSync(join(set, "sqlite/a.db"));
        symlinkSync("/etc/passwd", join(set, "sqlite/a.db"));
      },
      problem: /^sqlite\/a\.db: it is a symbolic link/,
    },
  ];
  it.each(forgeries)("was packed again with $what", async ({ edit, problem }) => {
    const { found } = await damage("tar.gz", (archive) => repack(archive, edit));
    expect(texts(found)).toEqual([expect.stringMatching(problem)]);
  });

  it.each(forgeries)("is a folder with $what", async ({ edit, problem }) => {
    const { found } = await damage("dir", ({ path }) => edit(path));
    expect(texts(found)[0]).toMatch(problem);
  });

  it("is a folder with a pipe, which nobody waits for", async () => {
    const { found } = await damage("dir", ({ path }) => {
      rmSync(join(path, "sqlite/a.db"));
      execFileSync("mkfifo", [join(path, "sqlite/a.db")]);
    });
    expect(texts(found)[0]).toBe("sqlite/a.db: it is no file");
    expect(found.files.map(({ ok }) => ok)).toEqual([false, true]);
  });

  it("is a folder that is no set", async () => {
    mkdirSync(join(folder, "photos", "2026"), { recursive: true });
    const found = await verify(await readArchive(join(folder, "photos")));
    expect(texts(found)).toEqual(["metadata.json: it is missing"]);
  });

  it("is of a newer opsctl, which is no damage", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    rmSync(sidecarPath(archive.path));
    const newer = rawTar([
      { path: "N/", type: "5" },
      { path: "N/metadata.json", content: Buffer.from('{"format":"opsctl-backup","format_version":99}') },
    ]);
    writeFileSync(archive.path, execFileSync("gzip", ["-c"], { input: newer }));
    await expect(verify(archive)).rejects.toMatchObject({
      code: "failed",
      message: "metadata.json has format version 99, and this opsctl knows 1",
    });
  });

  it("ends early when it is a bomb", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    rmSync(sidecarPath(archive.path));
    const huge = rawTar([{ path: "N/a", size: 7_000_000_000 }]);
    writeFileSync(archive.path, execFileSync("gzip", ["-c"], { input: huge }));
    expect(texts(await verify(archive))).toEqual([
      "a: with it the set holds 7000000000 bytes, and 67108864 are possible",
    ]);
  });
});

describe("parsing", () => {
  const integrity = new OpsError({ code: "integrity", message: "page 7 is torn" });
  it("reports what a parser refuses, and hashes the rest all the same", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    const stopping: ParseFile = async (_call, { content }) => {
      for await (const _ of content) throw integrity;
      return { counts: {}, breakdown: {} };
    };
    const found = await verify(archive, "parse", stopping);
    expect(texts(found)).toEqual(["sqlite/a.db: page 7 is torn", "sqlite/b.db: page 7 is torn"]);
  });

  it("compares counts", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    const found = await verify(archive, "parse", async () => ({ counts: { lines: 39_999 }, breakdown: {} }));
    expect(texts(found)[0]).toBe("sqlite/a.db: lines: it holds 39999, and the metadata says 40000");
  });

  it("is no damage when a tool is missing", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    const missing = new OpsError({ code: "failed", message: "pg_restore is not on PATH" });
    await expect(verify(archive, "parse", async () => Promise.reject(missing))).rejects.toBe(missing);
    expect(sidecarOf(archive)).toMatchObject({ damaged: null, verified: null });
  });

  it("gives a parser an empty folder of its own, and removes it", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    const folders = new Set<string>();
    await verify(archive, "parse", async (call, file) => {
      expect(readdirSync(file.scratch)).toEqual([]);
      folders.add(file.scratch);
      writeFileSync(join(file.scratch, "copy"), "x");
      return lineParser(seen)(call, file);
    });
    expect(folders.size).toBe(2);
  });

  it("ends with the call", async () => {
    const archive = await makeSet(folder, "tar.gz", FILES);
    const controller = new AbortController();
    const call = createCall({ actor: "t@h", signal: controller.signal });
    const reason = new OpsError({ code: "interrupted", message: "stopped" });
    const parser: ParseFile = async () => {
      controller.abort(reason);
      throw new Error("torn down");
    };
    const tools = { parsers: async () => parser, scratchParent: scratch };
    await expect(verifyArchive(call, await readArchive(archive.path), "parse", tools)).rejects.toBe(reason);
    expect(sidecarOf(archive)).toMatchObject({ damaged: null, verified: null });
  });
});
