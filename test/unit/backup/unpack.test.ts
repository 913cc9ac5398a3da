/** Compressed archives of ours, of stock tools, and of nobody's. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import zlib from "node:zlib";
import { describe, expect, it } from "vitest";
import { ByteQueue } from "../../../src/backup/byte-queue.ts";
import { gzipMember, zstdFrame } from "../../../src/backup/compress.ts";
import { unpack } from "../../../src/backup/unpack.ts";
import { sha256 } from "./set-kit.ts";

type Kind = "tar.gz" | "tar.zst";

/** In pieces of an odd size, so that every border falls somewhere inside of one. */
async function* slices(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function unpacked(kind: Kind, bytes: Uint8Array, size = 77_777): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of unpack(kind, new ByteQueue(slices(bytes, size)), "x")) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const random = randomBytes(3_000_000);
const dull = Buffer.alloc(20_000_000, "abc ");
const tool = (args: string[], input: Buffer) =>
  execFileSync(args[0]!, args.slice(1), { input, maxBuffer: 100_000_000 });

async function pieces(pack: (block: Uint8Array) => Promise<Uint8Array>, ...blocks: Buffer[]) {
  return Buffer.concat(await Promise.all(blocks.map(pack)));
}

const parts = [
  random.subarray(0, 1_000_000),
  random.subarray(1_000_000, 1_000_001),
  random.subarray(1_000_001),
];

describe("unpack", () => {
  it.each([
    { what: "members of ours", kind: "tar.gz", packed: () => pieces(gzipMember, ...parts) },
    { what: "frames of ours", kind: "tar.zst", packed: () => pieces(zstdFrame, ...parts) },
    { what: "one gzip", kind: "tar.gz", packed: () => zlib.gzipSync(random) },
    {
      what: "gzips of others",
      kind: "tar.gz",
      packed: () => Buffer.concat(parts.map((part) => zlib.gzipSync(part))),
    },
    {
      what: "our gzip, then another's",
      kind: "tar.gz",
      packed: async () =>
        Buffer.concat([await gzipMember(parts[0]!), zlib.gzipSync(Buffer.concat(parts.slice(1)))]),
    },
    { what: "the gzip tool", kind: "tar.gz", packed: () => tool(["gzip", "-c"], random) },
    { what: "the zstd tool", kind: "tar.zst", packed: () => tool(["zstd", "-c"], random) },
    {
      what: "zstd with a long window",
      kind: "tar.zst",
      packed: () => tool(["zstd", "-c", "--long=27"], random),
    },
    {
      what: "zstd frames of others",
      kind: "tar.zst",
      packed: () => Buffer.concat(parts.map((part) => tool(["zstd", "-c", "--no-check"], part))),
    },
    {
      what: "a frame to skip",
      kind: "tar.zst",
      packed: () =>
        Buffer.concat([
          Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]),
          zlib.zstdCompressSync(random),
        ]),
    },
  ] as const)("reads $what", async ({ kind, packed }) => {
    const bytes = await packed();
    for (const size of [1_000, 77_777, 1 << 20])
      expect(sha256(await unpacked(kind, bytes, size))).toBe(sha256(random));
  });

  it.each([
    { what: "gzip", kind: "tar.gz", packed: () => zlib.gzipSync(dull) },
    { what: "zstd", kind: "tar.zst", packed: () => tool(["zstd", "-c"], dull) },
    { what: "zstd of known size", kind: "tar.zst", packed: () => zlib.zstdCompressSync(dull) },
    {
      what: "several zstd",
      kind: "tar.zst",
      packed: () => pieces(zstdFrame, dull.subarray(0, 5_000_000), dull.subarray(5_000_000)),
    },
  ] as const)("reads data that expands a lot: $what", async ({ kind, packed }) => {
    expect((await unpacked(kind, await packed())).equals(dull)).toBe(true);
  });

  const archives = {
    "our gzip": ["tar.gz", () => pieces(gzipMember, ...parts)],
    "another's gzip": ["tar.gz", async () => zlib.gzipSync(random)],
    "our zstd": ["tar.zst", () => pieces(zstdFrame, ...parts)],
    "another's zstd": ["tar.zst", async () => tool(["zstd", "-c"], random)],
  } as const;
  const names = Object.keys(archives) as (keyof typeof archives)[];

  it.each(names)("refuses anything after the end: %s", async (name) => {
    const [kind, make] = archives[name];
    const bytes = await make();
    for (const after of [
      Buffer.from("garbage"),
      Buffer.alloc(1),
      Buffer.alloc(70_000),
      Buffer.from([0x1f, 0x8b]),
    ])
      await expect(unpacked(kind, Buffer.concat([bytes, after]))).rejects.toMatchObject({
        code: "integrity",
      });
  });

  it.each(names)("finds every truncation: %s", async (name) => {
    const [kind, make] = archives[name];
    const bytes = await make();
    for (const length of [1, 2, 5, 17, 30, 1_000, 999_999, 1_500_000, bytes.length - 9, bytes.length - 1])
      await expect(unpacked(kind, bytes.subarray(0, length))).rejects.toMatchObject({ code: "integrity" });
  });

  it("yields what came before the damage, and names its place", async () => {
    const members = await Promise.all(parts.map(gzipMember));
    const bytes = Buffer.concat(members);
    const at = members[0]!.length + members[1]!.length;
    bytes[at + 5_000]! ^= 1;
    const found: Buffer[] = [];
    const reading = (async () => {
      for await (const chunk of unpack("tar.gz", new ByteQueue(slices(bytes, 1 << 20)), "x.tar.gz"))
        found.push(chunk);
    })();
    await expect(reading).rejects.toThrow(`x.tar.gz: the compressed data from its byte ${at} is damaged`);
    expect(Buffer.concat(found).equals(random.subarray(0, 1_000_001))).toBe(true);
  });

  it("refuses a member that says it holds less than it does", async () => {
    const member = Buffer.from(await gzipMember(dull.subarray(0, 1_000_000)));
    member.writeUInt32LE(1_000, member.length - 4);
    await expect(unpacked("tar.gz", member)).rejects.toMatchObject({ code: "integrity" });
  });
});
