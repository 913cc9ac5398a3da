import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Crc64 } from "../../src/engines/redis/rdb-crc64.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { backUp, client, contents, fill, type Made, QUICK, workFolder } from "./redis-backup-kit.ts";
import { failureOf, restoreOf, withPart } from "./redis-restore-kit.ts";

const work = workFolder();
let source: OwnRedis;
let made: Made;

beforeAll(async () => {
  source = await ownRedis(QUICK);
  await fill(source.url, 1_000);
  made = await backUp(source.url, "psync", work.fresh());
});
afterAll(async () => {
  await source?.stop();
  work.remove();
});

/** A file of these bytes. */
function file(bytes: Buffer): string {
  const path = join(work.fresh(), "dump.rdb");
  writeFileSync(path, bytes);
  return path;
}

/** With a checksum that is right: what nobody finds who looks at nothing else. */
function signed(...pieces: (string | number[])[]): Buffer {
  const body = Buffer.concat([
    Buffer.from("REDIS0010"),
    ...pieces.map((piece) => Buffer.from(piece as string)),
    Buffer.of(255),
  ]);
  const crc = new Crc64();
  crc.add(body, 0, body.length);
  return Buffer.concat([body, crc.bytes()]);
}

const A_KEY = "\u0000\u0001a\u0001b";
/** A hash `h` of one field in a listpack of 13 bytes, which says that it has 99. */
const A_WRONG_HASH = [16, 1, 104, 13, 99, 0, 0, 0, 2, 0, 0x81, 97, 2, 0x81, 98, 2, 255];

/** What a server does not survive, and how it is found. */
const HOSTILE: [string, () => Buffer, RegExp][] = [
  ["a listpack that is none", () => signed([254, 0], A_WRONG_HASH), /did not survive/],
  ["a key twice", () => signed([254, 0], A_KEY, A_KEY), /did not survive.*duplicate/i],
  ["more databases than anybody has", () => signed([254, 0x80, 0, 1, 0x11, 0x70], A_KEY), /did not survive/],
  ["half of it", () => readFileSync(made.path).subarray(0, 9_000), /cut off/],
  ["a flip", () => flipped(readFileSync(made.path), 7_777), /damaged at byte/],
];

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] = bytes[at]! ^ 1;
  return bytes;
}

describe("a file that ends the server that loads it", () => {
  test.each(HOSTILE)("%s never reaches the target", async (_what, bytes, reason) => {
    const before = await contents(source.url);
    const restore = restoreOf(source.url, work.fresh(), { path: file(bytes()) });
    const error = await failureOf(withPart(restore, (part, call) => part.prepare(call)));
    expect(error).toMatchObject({ code: "integrity", message: expect.stringMatching(reason) });
    expect(await contents(source.url)).toEqual(before);
  });

  test.each([HOSTILE[0]!, HOSTILE[3]!])("%s fails a drill", async (_what, bytes, reason) => {
    const folder = work.fresh();
    const drilled = await restoreOf("redis://none", folder, { path: file(bytes()) }).drill();
    expect(drilled.problems.join()).toMatch(reason);
    expect(readdirSync(join(folder, "work"))).toEqual([]);
  });

  test("a database that the target does not have is refused", async () => {
    const path = file(signed([254, 20]));
    const restore = restoreOf(source.url, work.fresh(), { path });
    const error = await failureOf(withPart(restore, (part, call) => part.prepare(call)));
    expect(error).toMatchObject({ code: "failed", message: expect.stringContaining("database 20") });
  });
});

describe("a drill", () => {
  test("loads the file into a server of its own, and leaves nothing of it", async () => {
    const folder = work.fresh();
    const drilled = await restoreOf("redis://none", folder, { made, path: made.path }).drill();
    expect(drilled).toMatchObject({
      loaded: true,
      problems: [],
      notes: [],
      where: expect.stringMatching(/redis-server of its own, 7\./),
    });
    expect(drilled.counts).toEqual(made.copied.counts);
    expect(drilled.breakdown).toEqual(made.copied.breakdown);
    expect(readdirSync(join(folder, "work"))).toEqual([]);
  });

  test("says where the metadata are wrong", async () => {
    const { counts, breakdown } = made.copied;
    const wrong = {
      ...made.copied,
      counts: { ...counts, functions: 3 },
      breakdown: { ...breakdown, db3: 4 },
    };
    const drilled = await restoreOf("redis://none", work.fresh(), {
      made: { copied: wrong },
      path: made.path,
    }).drill();
    expect(drilled.problems).toEqual([
      "functions: it holds 2, and the metadata says 3",
      "db3: it holds 3, and the metadata says 4",
    ]);
  });

  test("keys that have expired are counted all the same", async () => {
    const few = await ownRedis(QUICK);
    try {
      await client(few.url, (client) => client.call("DEBUG", "SET-ACTIVE-EXPIRE", "0"));
      await client(few.url, (client) => client.pipeline().set("a", "1", "PX", 1).set("b", "1").exec());
      const expired = await backUp(few.url, "psync", work.fresh());
      const drilled = await restoreOf("redis://none", work.fresh(), {
        made: expired,
        path: expired.path,
      }).drill();
      expect(drilled).toMatchObject({ problems: [], counts: { keys: 2, expires: 1 } });
    } finally {
      await few.stop();
    }
  });

  test("without redis-server, or with an old one, reads it to its end and says so", async () => {
    const drill = (server: string) =>
      restoreOf("redis://none", work.fresh(), { made, path: made.path, server }).drill();
    expect(await drill("no-such-server")).toMatchObject({
      loaded: false,
      problems: [],
      counts: made.copied.counts,
      notes: [expect.stringContaining("no-such-server cannot be run here")],
    });
    const old = join(work.fresh(), "redis-server");
    writeFileSync(old, "#!/bin/sh\necho 'Redis server v=6.2.14 sha=0'\n");
    chmodSync(old, 0o700);
    expect(await drill(old)).toMatchObject({
      loaded: false,
      notes: [expect.stringContaining("is 6.2.14 and reads RDB files up to version 9")],
    });
  });

  test("works in a folder whose path is longer than that of a socket may be", async () => {
    const deep = join(work.fresh(), "d".repeat(90));
    mkdirSync(deep);
    expect(await restoreOf("redis://none", deep, { made, path: made.path }).drill()).toMatchObject({
      loaded: true,
    });
    expect(existsSync(made.path)).toBe(true);
  });
});
