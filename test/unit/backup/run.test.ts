/** The run with parts that hold bytes instead of databases: what it publishes, and what it never does. Real tar, gzip and zstd read it. */
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readArchive } from "../../../src/backup/archives.ts";
import type { BackupPart, Catalogue, Copied, PartOutput } from "../../../src/backup/port.ts";
import { type RunOptions, runBackup } from "../../../src/backup/run.ts";
import { createCall } from "../../../src/call.ts";
import { OpsError } from "../../../src/errors.ts";

let folder: string;
let events: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-run-"));
  events = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const COPIED: Copied = { consistency: "consistent", reason: null, counts: { rows: 1 }, breakdown: {} };

/** A part of given bytes; a phase may be replaced. */
function part(name: string, content: Buffer, phases: Partial<BackupPart> = {}): BackupPart {
  return {
    engine: "sqlite",
    name,
    source: name,
    isSlowToPrepare: false,
    open: async () => ({
      server_version: null,
      tools: [],
      estimate_bytes: content.length,
      scratch_bytes: 0,
      notes: [],
    }),
    prepare: async () => {
      events.push(`prepare ${name}`);
      return { at: Date.now(), identity: { of: name } };
    },
    copy: async (_call, out) => {
      await write(out, `sqlite/${name}`, content);
      return COPIED;
    },
    close: async () => {
      events.push(`close ${name}`);
    },
    ...phases,
  };
}

async function write(out: PartOutput, path: string, content: Buffer): Promise<void> {
  const file = await out.file(path, "sqlite-database");
  for (let at = 0; at < content.length; at += 300_000) await file.write(content.subarray(at, at + 300_000));
  await file.end();
}

const catalogue: Catalogue = {
  nextSequence: async (_call, least) => least + 1,
  add: async () => {},
  knows: async () => false,
};

function run(parts: BackupPart[], options: Partial<RunOptions> = {}, signal = new AbortController().signal) {
  const call = createCall({ actor: "test@host", signal });
  return runBackup(call, {
    parts,
    folder,
    container: "tar.gz",
    wants: () => true,
    stallMs: 60_000,
    ownSettings: {},
    opsctlVersion: "0.0.0",
    catalogue,
    ...options,
  });
}

const sha256 = (content: Buffer) => createHash("sha256").update(content).digest("hex");
const big = randomBytes(2_500_000);
const small = Buffer.from("one line\n");

describe("runBackup", () => {
  it.each([
    { container: "tar.gz", unpack: ["tar", "-xzf"] },
    { container: "tar.zst", unpack: ["tar", "--zstd", "-xf"] },
  ] as const)("makes a $container that stock tools unpack", async ({ container, unpack }) => {
    const { archive, sidecar } = await run(
      [part("big", big), part("small", small), part("empty", Buffer.alloc(0))],
      {
        container,
      },
    );
    const [program, ...args] = unpack;
    execFileSync(program, [...args, archive.path, "-C", folder]);
    const unpacked = join(folder, archive.name);
    expect(readFileSync(join(unpacked, "sqlite/big")).equals(big)).toBe(true);
    expect(readFileSync(join(unpacked, "sqlite/small"))).toEqual(small);
    expect(statSync(join(unpacked, "sqlite/empty")).size).toBe(0);
    const metadata = JSON.parse(readFileSync(join(unpacked, "metadata.json"), "utf8"));
    expect(metadata).toEqual(sidecar.metadata);
    expect(metadata.files.map((file: { sha256: string }) => file.sha256)).toEqual(
      [big, small, Buffer.alloc(0)].map(sha256),
    );
    expect(sidecar.sha256).toBe(sha256(readFileSync(archive.path)));
    expect(sidecar.size_bytes).toBe(statSync(archive.path).size);
    expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
  });

  it("makes a folder whose files are as they were given", async () => {
    const { archive, sidecar } = await run([part("big", big)], { container: "dir" });
    expect(readFileSync(join(archive.path, "sqlite/big")).equals(big)).toBe(true);
    expect(sidecar.sha256).toBe(sha256(readFileSync(join(archive.path, "metadata.json"))));
  });

  it("prepares slow parts first, the others when those have their snapshots, and copies afterwards", async () => {
    const slow = part("slow", small, {
      isSlowToPrepare: true,
      prepare: async () => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        events.push("prepare slow");
        return { at: 2_000, identity: {} };
      },
    });
    const quick = part("quick", small, {
      prepare: async () => {
        events.push("prepare quick");
        return { at: 2_005, identity: {} };
      },
      copy: async (_call, out) => {
        events.push("copy quick");
        await write(out, "quick", small);
        return COPIED;
      },
    });
    const { sidecar } = await run([quick, slow]);
    expect(events.slice(0, 3)).toEqual(["prepare slow", "prepare quick", "copy quick"]);
    expect(sidecar.metadata.skew_ms).toBe(5);
  });

  it.each(["open", "prepare", "copy"] as const)(
    "names a part that fails in %s, and keeps none of its files",
    async (phase) => {
      const failure = new OpsError({ code: "unreachable", engine: "redis", message: "gone" });
      const failing = part("failing", small, {
        [phase]: async (_call: unknown, out?: PartOutput) => {
          if (out) await write(out, "sqlite/half", small);
          throw failure;
        },
      });
      const { sidecar, failures } = await run([failing, part("good", small)]);
      expect(failures).toEqual([failure]);
      expect(sidecar.metadata.state).toBe("incomplete");
      expect(sidecar.metadata.files.map(({ path }) => path)).toEqual(["sqlite/good"]);
      expect(sidecar.metadata.parts[0]).toMatchObject({
        state: "failed",
        error: { code: "unreachable", message: "gone" },
        files: [],
      });
      expect(events).toContain("close failing");
    },
  );

  it("publishes nothing when every part fails, with their common code", async () => {
    const failing = (name: string) =>
      part(name, small, {
        open: () => Promise.reject(new OpsError({ code: "unreachable", message: "gone" })),
      });
    await expect(run([failing("a"), failing("b")])).rejects.toMatchObject({ code: "unreachable" });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("gives a silent part up, and goes on with the others", async () => {
    const silent = part("silent", small, { copy: () => new Promise(() => {}) });
    const { sidecar, failures } = await run([silent, part("good", small)], { stallMs: 300 });
    expect(failures).toMatchObject([{ code: "unreachable", engine: "sqlite" }]);
    expect(sidecar.metadata.files.map(({ path }) => path)).toEqual(["sqlite/good"]);
  });

  it("does not count as silence what a part waits for others", async () => {
    const slow = part("slow", small, {
      isSlowToPrepare: true,
      prepare: async (call) => {
        for (let tick = 0; tick < 8; tick += 1) {
          await new Promise((resolve) => setTimeout(resolve, 100));
          call.progress({ label: "", done: tick, unit: "bytes" });
        }
        return { at: 0, identity: {} };
      },
    });
    const { failures } = await run([slow, part("quick", small)], { stallMs: 300 });
    expect(failures).toEqual([]);
  });

  it("leaves nothing behind when it is interrupted", async () => {
    const abort = new AbortController();
    const reason = new OpsError({ code: "interrupted", message: "SIGINT" });
    const waiting = part("waiting", small, {
      copy: async (_call, out) => {
        await write(out, "sqlite/some", big);
        abort.abort(reason);
        return new Promise(() => {});
      },
    });
    await expect(run([waiting], {}, abort.signal)).rejects.toBe(reason);
    expect(readdirSync(folder)).toEqual([]);
    expect(events).toContain("close waiting");
  });

  it("gives two archives of one second different names and rising sequences", async () => {
    const runs = [
      await run([part("a", small)]),
      await run([part("a", small)]),
      await run([part("a", small)]),
    ];
    expect(new Set(runs.map(({ archive }) => archive.name)).size).toBe(3);
    expect(runs.map(({ sidecar }) => sidecar.metadata.sequence)).toEqual([1, 2, 3]);
  });

  it("refuses a name that is taken, whatever the container", async () => {
    await run([part("a", small)], { name: "one", container: "dir" });
    await expect(run([part("a", small)], { name: "one" })).rejects.toMatchObject({ code: "usage" });
  });

  it("replaces a single file and its sidecar", async () => {
    await run([part("a", big)], { container: "file", name: "latest.db" });
    await run([part("a", small)], { container: "file", name: "latest.db" });
    expect(readFileSync(join(folder, "latest.db"))).toEqual(small);
    expect(await readArchive(join(folder, "latest.db"))).toMatchObject({ problem: null, container: "file" });
    expect(readdirSync(folder).sort()).toEqual(["latest.db", "latest.db.json"]);
  });

  it("ends with the disk, not with a part", async () => {
    const gone = Promise.withResolvers<void>();
    const removing = part("removing", small, {
      copy: async (_call, out) => {
        // another part may be making a file in it at this moment (ENOTEMPTY)
        rmSync(join(folder, readdirSync(folder)[0]!), { recursive: true, maxRetries: 10 });
        gone.resolve();
        await write(out, "sqlite/lost", big);
        return COPIED;
      },
    });
    // it would be whole if the run went on
    const waiting = part("waiting", small, {
      copy: () => gone.promise.then(() => new Promise(() => {})),
    });
    await expect(run([removing, waiting])).rejects.toMatchObject({ code: "failed" });
    expect(existsSync(folder) && readdirSync(folder)).toEqual([]);
  });
});
