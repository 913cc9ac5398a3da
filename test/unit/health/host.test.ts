import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readHost } from "../../../src/health/host.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "opsctl-host-"));
  mkdirSync(join(root, "proc"));
  proc("meminfo", "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    250 kB\n");
  proc(
    "stat",
    "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 50 0 50 400 0 0 0 0 0 0\ncpu1 50 0 50 400 0 0 0 0 0 0\nintr 1\n",
  );
  proc("loadavg", "0.50 1.25 2.00 1/100 4242\n");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function proc(name: string, text: string): void {
  writeFileSync(join(root, "proc", name), text);
}

const noDisk = { paths: [], sampleMs: 1 };

describe("memory", () => {
  test("what is available counts, not what is free", async () => {
    const { memory } = await readHost({ root, ...noDisk });
    expect(memory).toEqual({ usage_percent: 75, total_bytes: 1_024_000, available_bytes: 256_000 });
  });

  test("old kernels: free, buffers and cache", async () => {
    proc(
      "meminfo",
      "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 100 kB\nCached: 300 kB\nSwapCached: 7 kB\n",
    );
    expect((await readHost({ root, ...noDisk })).memory.usage_percent).toBe(50);
  });

  test("without /proc node:os answers", async () => {
    const { memory, cpu } = await readHost({ root: join(root, "nowhere"), ...noDisk });
    expect(memory.total_bytes).toBeGreaterThan(1_000_000);
    expect(memory.usage_percent).toBeGreaterThan(0);
    expect(cpu.cores).toBeGreaterThan(0);
  });
});

describe("processor", () => {
  test("usage between two looks, load and cores", async () => {
    const reading = readHost({ root, paths: [], sampleMs: 150 });
    setTimeout(
      () => proc("stat", "cpu  160 0 115 820 5 0 0 0 0 0\ncpu0 1 0 0 0 0 0 0\ncpu1 1 0 0 0 0 0 0\n"),
      50,
    );
    const { cpu } = await reading;
    expect(cpu).toEqual({ usage_percent: 75, load_1m: 0.5, load_5m: 1.25, load_15m: 2, cores: 2 });
  });

  test("counters that stand still give no usage", async () => {
    expect((await readHost({ root, ...noDisk })).cpu.usage_percent).toBeNull();
  });
});

describe("disk", () => {
  const statfs = async () => ({ bsize: 4096n, blocks: 1000n, bfree: 200n, bavail: 100n });

  test("usage as df counts, in bytes", async () => {
    const { disks } = await readHost({ root, paths: ["/data"], sampleMs: 1, statfs });
    expect(disks).toEqual([
      {
        path: "/data",
        usage_percent: 88.9,
        total_bytes: 4_096_000,
        used_bytes: 3_276_800,
        free_bytes: 409_600,
        message: null,
      },
    ]);
  });

  test("paths lie below the root; what does not exist counts as its parent", async () => {
    const asked: string[] = [];
    const seen = (path: string) => {
      asked.push(path);
      return path === join(root, "var")
        ? statfs()
        : Promise.reject(Object.assign(new Error(), { code: "ENOENT" }));
    };
    const { disks } = await readHost({ root, paths: ["/var/lib/opsctl.db"], sampleMs: 1, statfs: seen });
    expect(asked).toEqual([join(root, "var/lib/opsctl.db"), join(root, "var/lib"), join(root, "var")]);
    expect(disks[0]).toMatchObject({ path: "/var/lib/opsctl.db", usage_percent: 88.9 });
  });

  test("the real file system of a file that does not exist yet", async () => {
    const [disk] = (await readHost({ paths: [join(root, "a/b/opsctl.db")], sampleMs: 1 })).disks;
    expect(disk!.total_bytes).toBeGreaterThan(0);
    expect(disk!.usage_percent).toBeGreaterThanOrEqual(0);
    expect(disk!.usage_percent).toBeLessThanOrEqual(100);
  });

  test("unreadable and silent disks say so", async () => {
    const denied = () => Promise.reject(Object.assign(new Error("EACCES: /secret"), { code: "EACCES" }));
    const silent = () => new Promise<never>(() => {});
    const one = await readHost({ root, paths: ["/data"], sampleMs: 1, statfs: denied });
    expect(one.disks[0]).toMatchObject({ usage_percent: null, message: "unreadable: EACCES" });
    const two = await readHost({ root, paths: ["/data"], sampleMs: 1, statfs: silent, limitMs: 30 });
    expect(two.disks[0]).toMatchObject({
      usage_percent: null,
      message: "unreadable: no answer within 30 ms",
    });
  });
});
