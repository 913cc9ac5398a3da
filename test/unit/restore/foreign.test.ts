/** Archives and files that other programs made: recognised by their content, never taken without trust. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { generateIdentity, identityToRecipient } from "age-encryption";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encryptStream } from "../../../src/backup/encrypt.ts";
import type { EngineName } from "../../../src/errors.ts";
import { stageFile } from "../../../src/restore/foreign-file.ts";
import { recognise } from "../../../src/restore/foreign-kind.ts";
import type { StagedSet, StageOptions } from "../../../src/restore/stage.ts";
import { testCall } from "../../support/calls.ts";
import { makeSet, sha256 } from "../backup/set-kit.ts";
import { leftIn, NAME, stage, stageFolder } from "./stage-kit.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-foreign-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** The head of a dump in custom format, as pg_dump of a version writes it. */
function customDump(
  database: string,
  { minor = 16, format = 1, server = "17.2 (Debian 17.2-1)" } = {},
): Buffer {
  const int = (value: number) => {
    const bytes = Buffer.alloc(5);
    bytes.writeUInt32LE(value, 1);
    return bytes;
  };
  const text = (value: string) => Buffer.concat([int(value.length), Buffer.from(value)]);
  const compression = minor >= 15 ? Buffer.from([0]) : int(0);
  const date = Buffer.concat(Array.from({ length: 7 }, () => int(1)));
  const head = Buffer.from([1, minor, 0, 4, 8, format]);
  return Buffer.concat([
    Buffer.from("PGDMP"),
    head,
    compression,
    date,
    text(database),
    text(server),
    text("17.2"),
  ]);
}

const PLAIN = Buffer.from(`--
-- PostgreSQL database dump
--

\\restrict abc

-- Dumped from database version 16.4 (Debian 16.4-1)
-- Dumped by pg_dump version 17.2
`);
const GLOBALS = Buffer.from("--\n-- PostgreSQL database cluster dump\n--\n");
const RDB = Buffer.from("REDIS0011\xfa", "latin1");
const DUMP = Buffer.from("DZV1 and so on");
const NDJSON = Buffer.from(
  '{"type":"header","format":"opsctl-neo4j","version":1,"database":"movies","server_version":"5.26.0"}\n',
);
const CYPHER = Buffer.from(
  '// opsctl-neo4j-cypher 1 {"database":"movies","server_version":"5.26.0"}\nCREATE (n);\n',
);
const SQLITE = Buffer.from("SQLite format 3\0and so on");
/** As the scripts of the guides call it. */
const THEIRS = Buffer.from('{"timestamp": "20250115_143022", "databases": ["neo4j", "postgres", "redis"]}');

describe("recognise", () => {
  it.each([
    { path: "a.dump", head: customDump("app"), kind: "postgres-custom", database: "app", version: "17.2" },
    {
      path: "a.sql",
      head: customDump("app", { minor: 14 }),
      kind: "postgres-custom",
      database: "app",
      version: "17.2",
    },
    { path: "a.dump", head: customDump("app").subarray(0, 50), kind: "postgres-custom" },
    { path: "latest.sql", head: PLAIN, kind: "postgres-plain", version: "16.4" },
    {
      path: "win.sql",
      head: Buffer.from(PLAIN.toString().replaceAll("\n", "\r\n")),
      kind: "postgres-plain",
      version: "16.4",
    },
    { path: "globals.sql", head: GLOBALS, kind: "postgres-globals" },
    { path: "dump.rdb", head: RDB, kind: "redis-rdb" },
    { path: "x.bin", head: SQLITE, kind: "sqlite-database" },
    { path: "neo4j.dump", head: DUMP, kind: "neo4j-dump" },
    { path: "backup.tar", head: DUMP, kind: "neo4j-dump" },
    { path: "neo4j-2025.dump", head: gzipSync("x"), kind: "neo4j-dump" },
    { path: "g.ndjson", head: NDJSON, kind: "neo4j-ndjson", database: "movies", version: "5.26.0" },
    { path: "g.cypher", head: CYPHER, kind: "neo4j-cypher", database: "movies", version: "5.26.0" },
  ])("$path is $kind", ({ path, head, kind, database = null, version = null }) => {
    const engine = kind.split("-")[0];
    expect(recognise(path, head)).toEqual({ kind, engine, database, serverVersion: version });
  });

  it.each([
    { path: "empty.sql", head: Buffer.alloc(0), why: "is empty" },
    { path: "toc.dat", head: customDump("app", { format: 3 }), why: "tar or directory format" },
    { path: "all.sql", head: GLOBALS, why: "whole cluster" },
    { path: "own.sql", head: Buffer.from("CREATE TABLE t (id int);"), why: "SQL that pg_dump did not write" },
    { path: "lite.sql", head: Buffer.from("PRAGMA foreign_keys=OFF;\nBEGIN"), why: "sqlite3's .dump" },
    { path: "power.sql", head: Buffer.from("\ufeff-- PostgreSQL", "utf16le"), why: "UTF-16" },
    { path: "apoc.cypher", head: Buffer.from(":begin\nCREATE"), why: "cypher-shell" },
    { path: "a.aof", head: Buffer.from("*2\r\n$6\r\nSELECT\r\n"), why: "append-only file" },
    { path: "a.db-wal", head: Buffer.from([0x37, 0x7f, 6, 0x82]), why: "SQLite file beside it" },
    { path: "postgres.sql.gz", head: gzipSync("x"), why: "compressed" },
    { path: "neo4j.cypher.zst", head: zstdCompressSync("x"), why: "compressed" },
    { path: "notes.txt", head: Buffer.from("remember the milk"), why: "not recognised" },
    { path: "short", head: Buffer.from([0x1f]), why: "not recognised" },
  ])("$path $why", ({ path, head, why }) => {
    expect(recognise(path, head)).toMatchObject({ why: expect.stringContaining(why) });
  });

  it("reads what pg_dump and redis-server of this machine do not say of themselves: a real SQLite file", () => {
    const path = join(folder, "real");
    new Database(path).exec("CREATE TABLE t (id)").close();
    expect(recognise("real", readFileSync(path))).toMatchObject({ kind: "sqlite-database" });
  });
});

/** As `tar -czf NAME.tar.gz NAME` makes it. */
function guideArchive(files: Readonly<Record<string, Buffer>>, flags: readonly string[] = ["-z"]): string {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, NAME, path)), { recursive: true });
    writeFileSync(join(folder, NAME, path), content);
  }
  const path = join(folder, `${NAME}.tar.${flags.includes("--zstd") ? "zst" : "gz"}`);
  execFileSync("tar", ["-cf", path, ...flags, "-C", folder, NAME]);
  return path;
}

const GUIDE = {
  "metadata.json": THEIRS,
  "neo4j.dump": DUMP,
  "postgres.dump": customDump("pconfig"),
  "postgres.sql": PLAIN,
  "redis.rdb": RDB,
  "app.db": SQLITE,
};

const shape = ({ parts }: StagedSet) =>
  parts.map(({ part, files }) => [part.engine, part.name, ...files.map(({ path }) => path)].join(" ")).sort();

describe("the archive of a guide", () => {
  it.each([["-z"], ["--zstd"]])("comes out when it is trusted, packed with %s", async (flag) => {
    const path = guideArchive(GUIDE, [flag]);
    const staged = await stage(folder, path);
    expect(staged).toMatchObject({
      isForeign: true,
      trusted: "operator",
      sha256: sha256(readFileSync(path)),
    });
    expect(shape(staged)).toEqual([
      "neo4j neo4j neo4j.dump",
      "postgres pconfig postgres.dump",
      "redis all redis.rdb",
      "sqlite app.db app.db",
    ]);
    expect(staged.notes).toEqual([
      expect.stringContaining("was not made by opsctl"),
      "postgres.sql is not needed: postgres.dump is the same in the custom format",
    ]);
    for (const { part, files } of staged.parts) {
      expect(part).toMatchObject({ counts: {}, breakdown: {}, consistency: "fuzzy" });
      for (const { path, local } of files)
        expect(readFileSync(local).equals(GUIDE[path as keyof typeof GUIDE])).toBe(true);
    }
    expect(staged.parts.find(({ part }) => part.engine === "postgres")!.part.server_version).toBe("17.2");
  });

  it.each([
    { flags: ["--format=posix", NAME] },
    { flags: ["--format=posix", `./${NAME}`] },
    { flags: ["--format=posix", "-C", NAME, "."] },
    { flags: ["-C", NAME, "."] },
  ])("is the same when it was packed with $flags", async ({ flags }) => {
    const path = guideArchive(GUIDE);
    execFileSync("tar", ["-czf", path, ...flags], { cwd: folder });
    const { parts } = await stage(folder, path);
    const files = parts.flatMap(({ files }) => files);
    expect(files).toHaveLength(4);
    for (const { path, local } of files)
      expect(readFileSync(local).equals(GUIDE[path as keyof typeof GUIDE])).toBe(true);
  });

  it("is refused without trust, and nothing is written", async () => {
    const path = guideArchive(GUIDE);
    await expect(stage(folder, path, { trust: false })).rejects.toMatchObject({
      code: "usage",
      hint: expect.stringContaining("--trust-archive"),
    });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("gives up one engine's part", async () => {
    const staged = await stage(folder, guideArchive(GUIDE), { engines: ["redis"] });
    expect(shape(staged)).toEqual(["redis all redis.rdb"]);
    expect(leftIn(stageFolder(folder))).toHaveLength(2);
  });

  it("may have a JSON file of its own beside it", async () => {
    const path = guideArchive(GUIDE);
    writeFileSync(join(folder, `${NAME}.json`), THEIRS);
    expect(shape(await stage(folder, path))).toHaveLength(4);
  });

  it.each<{ what: string; files: Record<string, Buffer>; parts: string[]; note?: string }>([
    {
      what: "the plain dump is taken where there is no other",
      files: { "postgresql.sql": PLAIN },
      parts: ["postgres postgresql postgresql.sql"],
    },
    {
      what: "several databases are several parts",
      files: {
        "pg/a.dump": customDump("a"),
        "pg/b.dump": customDump("b"),
        "pg/b.sql": PLAIN,
        "pg/globals.sql": GLOBALS,
      },
      parts: ["postgres a pg/a.dump", "postgres b pg/b.dump", "postgres globals pg/globals.sql"],
      note: "pg/b.sql is not needed",
    },
    {
      what: "the users of Neo4j go with their database",
      files: { "neo4j-20250115.dump": DUMP, "system.dump": DUMP },
      parts: ["neo4j neo4j neo4j-20250115.dump system.dump"],
    },
    {
      what: "an export over Bolt is preferred to a dump",
      files: { "neo4j.dump": DUMP, "graph.ndjson": NDJSON },
      parts: ["neo4j movies graph.ndjson"],
      note: "neo4j.dump is not needed",
    },
    {
      what: "what is not recognised is named",
      files: { "redis.rdb": RDB, "README.md": Buffer.from("# hello"), "app.db-wal": Buffer.from("7") },
      parts: ["redis all redis.rdb"],
      note: "README.md is left out: it is not recognised",
    },
    {
      what: "the base of an append-only file is not all of it",
      files: { "appendonlydir/appendonly.aof.1.base.rdb": RDB },
      parts: ["redis all appendonlydir/appendonly.aof.1.base.rdb"],
      note: "writes after it are in others",
    },
  ])("$what", async ({ files, parts, note }) => {
    const staged = await stage(folder, guideArchive(files));
    expect(shape(staged)).toEqual(parts);
    if (note) expect(staged.notes.join("\n")).toContain(note);
  });

  it.each<{ what: string; files: Record<string, Buffer>; engines?: EngineName[]; error: object }>([
    {
      what: "two files for one server",
      files: { "a.rdb": RDB, "b.rdb": RDB },
      error: { code: "usage", message: expect.stringContaining("two files for redis all: a.rdb and b.rdb") },
    },
    {
      what: "nothing that can be restored",
      files: { "a.txt": Buffer.from("a") },
      error: {
        code: "not_found",
        message: expect.stringContaining("a.txt is left out: it is not recognised"),
      },
    },
    {
      what: "nothing of that engine",
      files: { "a.rdb": RDB },
      engines: ["postgres"],
      error: { code: "not_found", message: expect.stringContaining("to postgres: a.rdb is for redis") },
    },
    {
      what: "metadata that pretends to be ours",
      files: { "a.rdb": RDB, "metadata.json": Buffer.from('{"format":"opsctl-backup"}') },
      error: { code: "integrity", message: expect.stringContaining("metadata.json") },
    },
  ])("is refused with $what", async ({ files, engines, error }) => {
    await expect(stage(folder, guideArchive(files), { engines })).rejects.toMatchObject(error);
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("names the first of many files that are left out", async () => {
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, nth) => [`${nth}.txt`, Buffer.from("x")]));
    const { notes } = await stage(folder, guideArchive({ ...many, "a.rdb": RDB }));
    expect(notes).toHaveLength(12);
    expect(notes.at(-1)).toBe("and 30 more files are left out");
  });

  it.each([
    { what: "a link", make: (path: string) => symlinkSync("/etc/passwd", path) },
    { what: "a pipe", make: (path: string) => execFileSync("mkfifo", [path]) },
  ])("is damaged with $what in it", async ({ make }) => {
    mkdirSync(join(folder, NAME));
    make(join(folder, NAME, "x.sql"));
    await expect(stage(folder, guideArchive(GUIDE))).rejects.toMatchObject({ code: "integrity" });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("is damaged when it is cut off, trusted or not", async () => {
    const path = guideArchive(GUIDE);
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, -20));
    for (const trust of [true, false])
      await expect(stage(folder, path, { trust })).rejects.toMatchObject({ code: "integrity" });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });
});

describe("a single file", () => {
  const file = (name: string, content: Buffer) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  };
  const take = (path: string, engine: EngineName, options: Partial<StageOptions> = {}) =>
    stageFile(testCall(), path, engine, {
      folder: stageFolder(folder),
      knows: async () => false,
      trust: true,
      ...options,
    });

  it.each<{ name: string; content: Buffer; engine: EngineName; kind: string; plain?: Buffer }>([
    { name: "latest.sql", content: PLAIN, engine: "postgres", kind: "postgres-plain" },
    { name: "custom.sql", content: customDump("app"), engine: "postgres", kind: "postgres-custom" },
    {
      name: "latest.sql.gz",
      content: gzipSync(PLAIN),
      engine: "postgres",
      kind: "postgres-plain",
      plain: PLAIN,
    },
    {
      name: "latest.sql.zst",
      content: zstdCompressSync(PLAIN),
      engine: "postgres",
      kind: "postgres-plain",
      plain: PLAIN,
    },
    { name: "dump.rdb", content: RDB, engine: "redis", kind: "redis-rdb" },
    { name: "app.db", content: SQLITE, engine: "sqlite", kind: "sqlite-database" },
    { name: "g.ndjson", content: NDJSON, engine: "neo4j", kind: "neo4j-ndjson" },
    { name: "g.ndjson.gz", content: gzipSync(NDJSON), engine: "neo4j", kind: "neo4j-ndjson", plain: NDJSON },
    { name: "g.cypher", content: CYPHER, engine: "neo4j", kind: "neo4j-cypher" },
    { name: "neo4j.dump", content: gzipSync("dump"), engine: "neo4j", kind: "neo4j-dump" },
  ])("$name is taken as $kind", async ({ name, content, engine, kind, plain = content }) => {
    const staged = await take(file(name, content), engine);
    expect(staged).toMatchObject({ isForeign: true, trusted: "operator", sha256: sha256(content) });
    const [only, ...others] = staged.parts.flatMap(({ files }) => files);
    expect(others).toEqual([]);
    expect(only).toMatchObject({ kind, path: name, size_bytes: plain.length });
    expect(readFileSync(only!.local).equals(plain)).toBe(true);
  });

  it.each<{ name: string; content: Buffer; engine: EngineName; message: RegExp }>([
    {
      name: "a.sql",
      content: RDB,
      engine: "postgres",
      message: /data of redis \(redis-rdb\), and --only says postgres/,
    },
    { name: "a.rdb", content: PLAIN, engine: "redis", message: /data of postgres/ },
    {
      name: "a.sql",
      content: Buffer.from("DROP TABLE x;"),
      engine: "postgres",
      message: /SQL that pg_dump did not/,
    },
    {
      name: "a.sql.gz",
      content: gzipSync("DROP TABLE x;"),
      engine: "postgres",
      message: /SQL that pg_dump did not/,
    },
  ])("$name is refused: $message", async ({ name, content, engine, message }) => {
    await expect(take(file(name, content), engine)).rejects.toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
    });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it.each([
    { what: "empty", content: Buffer.alloc(0) },
    { what: "an RDB whose first bytes were changed", content: Buffer.from("REDAS0011") },
    { what: "random", content: Buffer.from([1, 2, 3, 0, 255]) },
  ])("is damaged when it is $what", async ({ content }) => {
    await expect(take(file("dump.rdb", content), "redis")).rejects.toMatchObject({ code: "integrity" });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("needs trust, unless this host made it", async () => {
    const path = file("latest.sql", PLAIN);
    await expect(take(path, "postgres", { trust: false })).rejects.toMatchObject({ code: "usage" });
    expect(leftIn(stageFolder(folder))).toEqual([]);
    const knows = async (digest: string) => digest === sha256(PLAIN);
    expect(await take(path, "postgres", { trust: false, knows })).toMatchObject({ trusted: "catalogue" });
  });

  it("is a set when its sidecar is beside it", async () => {
    const { path } = await makeSet(folder, "file", { "sqlite/a.db": SQLITE }, { name: "copy.db" });
    const staged = await take(path, "sqlite");
    expect(staged).toMatchObject({ isForeign: false });
    expect(staged.metadata.parts[0]!.counts).toHaveProperty("lines");
    await expect(take(path, "redis")).rejects.toMatchObject({ code: "not_found" });
    writeFileSync(path, Buffer.concat([SQLITE, SQLITE]));
    await expect(take(path, "sqlite")).rejects.toMatchObject({ code: "integrity" });
  });

  it("is not taken for what only its sidecar says", async () => {
    const { path } = await makeSet(folder, "file", { "sqlite/a.db": RDB }, { name: "copy.db" });
    await expect(take(path, "sqlite")).rejects.toMatchObject({
      code: "integrity",
      message: "copy.db: sqlite/a.db: it is redis-rdb by its content, and its sidecar says sqlite-database",
    });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("may be an archive, of which one engine is taken", async () => {
    const staged = await take(guideArchive(GUIDE), "sqlite");
    expect(shape(staged)).toEqual(["sqlite app.db app.db"]);
  });

  it("is opened when it is encrypted", async () => {
    const identity = await generateIdentity();
    const encrypt = await encryptStream([await identityToRecipient(identity)], "--encrypt-to");
    const chunks: Uint8Array[] = [];
    for await (const chunk of encrypt(
      (async function* () {
        yield PLAIN;
      })(),
    ))
      chunks.push(chunk);
    const path = file("latest.sql.age", Buffer.concat(chunks));
    await expect(take(path, "postgres")).rejects.toMatchObject({ code: "usage" });
    const staged = await take(path, "postgres", { identity });
    expect(readFileSync(staged.parts[0]!.files[0]!.local).equals(PLAIN)).toBe(true);
    expect(staged.sha256).toBe(sha256(readFileSync(path)));
  });

  it("is no dump in directory format", async () => {
    const path = join(folder, "dumped");
    mkdirSync(path);
    writeFileSync(join(path, "toc.dat"), customDump("app", { format: 3 }));
    await expect(take(path, "postgres")).rejects.toMatchObject({
      code: "usage",
      hint: expect.stringContaining("pg_restore"),
    });
  });

  it.each([
    { what: "nothing", make: () => {}, code: "not_found" },
    { what: "a pipe", make: (path: string) => execFileSync("mkfifo", [path]), code: "integrity" },
    { what: "a device", make: (path: string) => symlinkSync("/dev/zero", path), code: "integrity" },
    { what: "a folder", make: (path: string) => mkdirSync(path), code: "integrity" },
  ])("is not waited for where there is $what", async ({ make, code }) => {
    const path = join(folder, "x.sql");
    make(path);
    await expect(take(path, "postgres")).rejects.toMatchObject({ code });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("ends when too much comes out of it", async () => {
    const bomb = execFileSync("sh", ["-c", "{ cat; head -c 80000000 /dev/zero; } | zstd -c"], {
      input: PLAIN,
    });
    await expect(take(file("bomb.sql.zst", bomb), "postgres")).rejects.toMatchObject({
      code: "integrity",
      message: "bomb.sql.zst: more than 67108864 bytes came out of it: that is no dump",
    });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });

  it("is damaged when its compression is", async () => {
    const packed = gzipSync(PLAIN);
    packed[packed.length - 6]! ^= 1;
    await expect(take(file("latest.sql.gz", packed), "postgres")).rejects.toMatchObject({
      code: "integrity",
    });
    expect(leftIn(stageFolder(folder))).toEqual([]);
  });
});
