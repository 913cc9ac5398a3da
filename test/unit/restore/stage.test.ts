/** What comes out of an archive of ours, and who has to vouch for it. */
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sidecarPath } from "../../../src/backup/archives.ts";
import { encryptStream } from "../../../src/backup/encrypt.ts";
import { parseSidecar } from "../../../src/backup/metadata.ts";
import { sign } from "../../../src/backup/signature.ts";
import type { StagedSet, StageOptions } from "../../../src/restore/stage.ts";
import { type Files, makeSet, sha256 } from "../backup/set-kit.ts";
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

const KEY = "k".repeat(32);
const FILES: Files = {
  "sqlite/a.db": Buffer.alloc(2_500_000, "one line\n"),
  "sqlite/empty.db": Buffer.alloc(0),
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-stage-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const files = ({ parts }: StagedSet) => parts.flatMap((part) => part.files);
const own = () => writeArchive(folder, pack(entriesFor(PARTS)), metadataFor(PARTS));
const failure = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable("it was staged"),
    (error) => error,
  );

describe("a whole archive", () => {
  it.each(["tar.gz", "tar.zst", "dir"] as const)("%s: every file comes out, private", async (container) => {
    const { path } = await makeSet(folder, container, FILES);
    const staged = await stage(folder, path, { trust: false, knows: async () => true });
    expect(staged).toMatchObject({ isForeign: false, trusted: "catalogue", notes: [] });
    expect(staged.sha256).toBe(parseSidecar(readFileSync(sidecarPath(path), "utf8"), path).sha256);
    for (const { path, local, size_bytes, kind } of files(staged)) {
      expect(readFileSync(local).equals(FILES[path]!)).toBe(true);
      expect(size_bytes).toBe(FILES[path]!.length);
      expect(kind).toBe("sqlite-database");
      expect(statSync(local).mode & 0o777).toBe(0o600);
      expect(statSync(dirname(local)).mode & 0o777).toBe(0o700);
      expect(local.startsWith(stageFolder(folder))).toBe(true);
    }
    expect(files(staged)).toHaveLength(2);
  });

  it.each(["tar.gz", "dir"] as const)(
    "%s: says itself what it holds, without a sidecar",
    async (container) => {
      const { path } = await makeSet(folder, container, FILES);
      rmSync(sidecarPath(path));
      expect(files(await stage(folder, path))).toHaveLength(2);
    },
  );

  it("is a single file with its sidecar", async () => {
    const { path } = await makeSet(
      folder,
      "file",
      { "sqlite/a.db": FILES["sqlite/a.db"]! },
      { name: "copy.db" },
    );
    const staged = await stage(folder, path);
    expect(files(staged).map(({ path }) => path)).toEqual(["sqlite/a.db"]);
    expect(sha256(readFileSync(files(staged)[0]!.local))).toBe(sha256(FILES["sqlite/a.db"]!));
  });

  it("is copied out of a folder: what lies there may change afterwards", async () => {
    const { path } = await makeSet(folder, "dir", FILES);
    const staged = await stage(folder, path);
    chmodSync(join(path, "sqlite/a.db"), 0o600);
    writeFileSync(join(path, "sqlite/a.db"), "changed");
    expect(readFileSync(files(staged)[0]!.local).equals(FILES["sqlite/a.db"]!)).toBe(true);
  });

  it("says how it was called before it was renamed", async () => {
    const path = own();
    const [renamed] = [path, sidecarPath(path)].map((one) => {
      const other = one.replace(NAME, "monday");
      renameSync(one, other);
      return other;
    });
    const { archive, notes } = await stage(folder, renamed!);
    expect({ name: archive.name, notes }).toEqual({
      name: "monday",
      notes: [`it was called ${NAME} when it was made`],
    });
  });

  it("may be staged twice into one folder", async () => {
    const path = own();
    const [first, second] = [await stage(folder, path), await stage(folder, path)];
    expect(files(first)[0]!.local).not.toBe(files(second)[0]!.local);
    expect(readFileSync(files(first)[0]!.local, "utf8")).toBe("PGDMP custom");
  });
});

describe("an encrypted archive", () => {
  const sealed = async () => {
    const identity = await generateIdentity();
    const encrypt = await encryptStream([await identityToRecipient(identity)], "--encrypt-to");
    const { path } = await makeSet(folder, "tar.gz", FILES, { encrypt });
    return { path, identity };
  };

  it("comes out with its key, and the digest of what was encrypted counts", async () => {
    const { path, identity } = await sealed();
    const digest = sha256(readFileSync(path));
    const staged = await stage(folder, path, {
      identity,
      trust: false,
      knows: async (sha256) => sha256 === digest,
    });
    expect(staged).toMatchObject({ sha256: digest, trusted: "catalogue" });
    expect(readFileSync(files(staged)[0]!.local).equals(FILES["sqlite/a.db"]!)).toBe(true);
  });

  it.each([
    { what: "no key", identity: () => undefined, code: "usage" },
    { what: "another key", identity: generateIdentity, code: "auth" },
  ])("leaves nothing with $what", async ({ identity, code }) => {
    const { path } = await sealed();
    const options: Partial<StageOptions> = { identity: await identity() };
    expect(await failure(stage(folder, path, options))).toMatchObject({ code });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it.each([
    { what: "its header", at: () => 60 },
    { what: "its last byte", at: (length: number) => length - 1 },
  ])("was changed in $what", async ({ at }) => {
    const { path, identity } = await sealed();
    const bytes = readFileSync(path);
    bytes[at(bytes.length)]! ^= 1;
    writeFileSync(path, bytes);
    expect(await failure(stage(folder, path, { identity }))).toMatchObject({ code: "integrity" });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });
});

describe("what is taken out", () => {
  it("is not the plain dump beside the custom one", async () => {
    const staged = await stage(folder, own());
    expect(files(staged).map(({ path }) => path)).toEqual(["postgres/app.dump", "sqlite/a.db"]);
    expect(leftIn(stageFolder(folder))).toHaveLength(3);
  });

  it("is the plain dump where there is no other", async () => {
    const [part] = PARTS;
    const parts = [{ ...part!, files: part!.files.slice(1) }];
    const path = writeArchive(folder, pack(entriesFor(parts)), metadataFor(parts));
    expect(files(await stage(folder, path)).map(({ kind }) => kind)).toEqual(["postgres-plain"]);
  });

  it("is of the engines that were asked for", async () => {
    const staged = await stage(folder, own(), { engines: ["sqlite"] });
    expect(staged.parts.map(({ part }) => part.name)).toEqual(["a.db"]);
    expect(leftIn(stageFolder(folder))).toHaveLength(2);
  });

  it("is what is whole of an incomplete archive, which says what failed", async () => {
    const parts = [...PARTS, { engine: "redis" as const, name: "all", files: [], error: "no answer" }];
    const path = writeArchive(folder, pack(entriesFor(parts)), metadataFor(parts));
    const staged = await stage(folder, path);
    expect(staged.notes).toEqual([
      "redis all is not in the archive: it failed when that was made (no answer)",
    ]);
    expect(staged.parts).toHaveLength(2);
    expect(await failure(stage(folder, path, { engines: ["redis"] }))).toMatchObject({
      code: "failed",
      message: `redis all is not in ${NAME}: it failed when the archive was made (no answer)`,
    });
    expect(await failure(stage(folder, path, { engines: ["sqlite", "neo4j"] }))).toMatchObject({
      code: "not_found",
      message: `${NAME} holds no part of neo4j; it holds postgres, sqlite, redis`,
    });
  });
});

describe("trust", () => {
  const signed = (key: string) =>
    writeArchive(folder, pack(entriesFor(PARTS)), metadataFor(PARTS), (sidecar) => {
      sidecar.signature = sign(key, sidecar.sha256);
    });
  const ours = async () => true;

  it.each([
    { what: "this host made it", path: own, options: { knows: ours }, trusted: "catalogue" },
    {
      what: "this host made it, and signed it with a key that nobody gave",
      path: () => signed(KEY),
      options: { knows: ours },
      trusted: "catalogue",
    },
    {
      what: "our key signed it",
      path: () => signed(KEY),
      options: { signingKey: KEY },
      trusted: "signature",
    },
    { what: "the operator says so", path: own, options: { trust: true }, trusted: "operator" },
  ])("is given: $what", async ({ path, options, trusted }) => {
    expect(await stage(folder, path(), { trust: false, ...options })).toMatchObject({ trusted });
  });

  it.each([
    { what: "nobody says so", path: own, options: {} },
    { what: "it is not signed though there is a key", path: own, options: { signingKey: KEY } },
    { what: "it is signed and there is no key", path: () => signed(KEY), options: {} },
  ])("is refused, and nothing written: $what", async ({ path, options }) => {
    expect(await failure(stage(folder, path(), { trust: false, ...options }))).toMatchObject({
      code: "usage",
      hint: expect.stringContaining("--trust-archive"),
    });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("is never given to another key's signature", async () => {
    const path = signed("x".repeat(32));
    const options = { signingKey: KEY, knows: ours, trust: true };
    expect(await failure(stage(folder, path, options))).toMatchObject({
      code: "integrity",
      message: expect.stringMatching(/^20261121_030000\.tar\.gz: its signature was not made/),
    });
  });

  it("is of the digest that the bytes have, not of the one that is claimed", async () => {
    const known = "c".repeat(64);
    const path = writeArchive(folder, pack(entriesFor(PARTS)), metadataFor(PARTS), (sidecar) => {
      sidecar.sha256 = known;
    });
    const options = { trust: false, knows: async (sha256: string) => sha256 === known };
    expect(await failure(stage(folder, path, options))).toMatchObject({ code: "integrity" });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("does not matter for what is damaged: that is said first", async () => {
    const path = own();
    writeFileSync(path, pack(entriesFor(PARTS).slice(0, -1)));
    rmSync(sidecarPath(path));
    expect(await failure(stage(folder, path, { trust: false }))).toMatchObject({
      code: "integrity",
      message: "20261121_030000.tar.gz: sqlite/a.db: it is missing",
    });
  });
});
