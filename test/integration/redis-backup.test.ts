import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OpsError } from "../../src/errors.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import {
  backUp,
  client,
  contents,
  fill,
  loaded,
  type Made,
  parse,
  QUICK,
  workFolder,
} from "./redis-backup-kit.ts";

const MANY = 50_000;
const work = workFolder();
let server: OwnRedis;

beforeAll(async () => {
  server = await ownRedis(QUICK);
  await fill(server.url, MANY);
});
afterAll(async () => {
  await server?.stop();
  work.remove();
});

describe("a server with all types in three databases comes back as it was", () => {
  const ways = [
    { way: "psync", diskless: "yes", compression: "yes" },
    { way: "psync", diskless: "no", compression: "no" },
    { way: "scan", diskless: "yes", compression: "yes" },
  ] as const;

  test.each(ways)(
    "$way, diskless $diskless, compression $compression",
    async ({ way, diskless, compression }) => {
      await client(server.url, async (client) => {
        await client.config("SET", "repl-diskless-sync", diskless);
        await client.config("SET", "rdbcompression", compression);
      });
      const before = await contents(server.url);
      // the database of the address is of no account: a backup is of all
      const made = await backUp(`${server.url}/3`, way, work.fresh());

      expect(made.copied).toMatchObject({ consistency: "consistent", reason: null, notes: [] });
      expect(made.copied.counts).toEqual({ keys: MANY + 25 + 6, expires: 3, functions: 2, databases: 3 });
      expect(made.copied.breakdown).toMatchObject({
        "db0.string": MANY + 12,
        "db0.list": 3,
        "db0.set": 4,
        "db0.hash": 2,
        "db0.zset": 3,
        "db0.stream": 1,
        "db0.expires": 1,
        db3: 3,
        "db15.hash": 1,
      });
      expect(await parse(made.bytes())).toEqual({
        counts: made.copied.counts,
        breakdown: made.copied.breakdown,
      });
      expect(execFileSync("redis-check-rdb", [made.path], { encoding: "utf8" })).toContain("RDB looks OK");
      await loaded(made.dir, async ({ url }) => expect(await contents(url)).toEqual(before));
    },
  );
});

describe("damage to a file", () => {
  let made: Made;
  let whole: Buffer;

  beforeAll(async () => {
    const small = await ownRedis(QUICK);
    try {
      await fill(small.url, 100);
      made = await backUp(small.url, "psync", work.fresh());
      whole = made.bytes();
    } finally {
      await small.stop();
    }
  });

  const errorOf = (content: Buffer) =>
    parse(content).then(
      () => undefined,
      (error: OpsError) => error,
    );

  test("any of 200 flipped bits is found, and the place is named", async () => {
    for (let round = 0; round < 200; round++) {
      const flipped = Buffer.from(whole);
      const at = (round * 7_919 * 104_729) % whole.length;
      flipped[at]! ^= 1 << (round % 8);
      const error = await errorOf(flipped);
      expect(error, `bit ${round % 8} of byte ${at}`).toMatchObject({ code: "integrity", engine: "redis" });
      expect(error!.message).toMatch(
        /redis\/dump\.rdb (is damaged at byte \d+|says that it has RDB version)/,
      );
    }
  });

  test("a file cut off at any of 200 places, and one that goes on, is found", async () => {
    for (let round = 0; round < 200; round++) {
      const cut = Math.floor((whole.length * round) / 200);
      expect(await errorOf(whole.subarray(0, cut))).toMatchObject({
        code: "integrity",
        message: `redis/dump.rdb is damaged at byte ${cut}: it is cut off here`,
      });
    }
    expect(await errorOf(Buffer.concat([whole, Buffer.from([0])]))).toMatchObject({
      code: "integrity",
      message: expect.stringContaining("goes on after its end"),
    });
  });

  test("the borders of chunks are of no account", async () => {
    const { counts, breakdown } = made.copied;
    for (const size of [1, 2, 3, 5, 13, 4_093]) {
      expect(await parse(whole, size)).toEqual({ counts, breakdown });
    }
  });
});

test("a server without checksums is copied, and the copy says so", async () => {
  const without = await ownRedis([...QUICK, "--rdbchecksum", "no"]);
  try {
    await fill(without.url, 100);
    const made = await backUp(without.url, "psync", work.fresh());
    expect(made.copied.notes).toEqual([expect.stringContaining("rdbchecksum no")]);
    expect(made.bytes().subarray(-8)).toEqual(Buffer.alloc(8));
    expect((await parse(made.bytes())).counts).toEqual(made.copied.counts);
    // opsctl's own files have one
    const scanned = await backUp(without.url, "scan", work.fresh());
    expect(scanned.copied.notes).toEqual([]);
    expect(scanned.bytes().subarray(-8)).not.toEqual(Buffer.alloc(8));
  } finally {
    await without.stop();
  }
});

test.each(["psync", "scan"] as const)("an empty server: %s", async (way) => {
  const empty = await ownRedis(QUICK);
  try {
    const made = await backUp(empty.url, way, work.fresh());
    expect(made.copied.counts).toEqual({ keys: 0, expires: 0, functions: 0, databases: 0 });
    expect(made.copied.breakdown).toEqual({});
    await loaded(made.dir, ({ url }) => client(url, async (client) => expect(await client.dbsize()).toBe(0)));
  } finally {
    await empty.stop();
  }
});
