/** Which ping follows which outcome: a run that exits with 3 must not tell the dead man's switch that all is well. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { operate } from "../../../src/backup/operate.ts";
import type { BackupPart, Copied } from "../../../src/backup/port.ts";
import { createCall } from "../../../src/call.ts";
import { OpsError } from "../../../src/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "opsctl-operate-"));
let pinged: string[];
const server = createServer((request, response) => {
  pinged.push(request.url!);
  request.resume().on("end", () => response.end());
});

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
beforeEach(() => {
  pinged = [];
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

function part(name: string, copied: Partial<Copied> | OpsError): BackupPart {
  return {
    engine: "redis",
    name,
    source: name,
    isSlowToPrepare: false,
    open: async () => ({ server_version: null, tools: [], estimate_bytes: 1, scratch_bytes: 0, notes: [] }),
    prepare: async () => ({ at: Date.now(), identity: {} }),
    copy: async (_call, out) => {
      if (copied instanceof OpsError) throw copied;
      const file = await out.file(`redis/${name}`, "redis-rdb");
      await file.write(Buffer.from(name));
      await file.end();
      return { consistency: "consistent", reason: null, counts: {}, breakdown: {}, ...copied };
    },
    close: async () => {},
  };
}

const fuzzy = { consistency: "fuzzy", reason: "it was written to" } as const;
const broken = new OpsError({ code: "unreachable", engine: "redis", message: "gone" });

it.each([
  { what: "consistent", parts: [{}], mustBeConsistent: true, ping: "/success" },
  { what: "fuzzy, and that may be", parts: [fuzzy], mustBeConsistent: false, ping: "/success" },
  { what: "fuzzy, and that may not be", parts: [fuzzy], mustBeConsistent: true, ping: "/failure" },
  { what: "incomplete", parts: [{}, broken], mustBeConsistent: false, ping: "/failure" },
  { what: "nothing", parts: [broken], mustBeConsistent: false, ping: "/failure" },
])("pings $ping after a run that came out $what", async ({ parts, mustBeConsistent, ping }) => {
  const to = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const call = createCall({ actor: "test@host", signal: new AbortController().signal });
  await operate(call, {
    run: {
      parts: parts.map((copied, at) => part(`part${at}`, copied)),
      folder,
      container: "dir",
      wants: () => true,
      stallMs: 60_000,
      ownSettings: {},
      opsctlVersion: "0.0.0",
      catalogue: {
        nextSequence: async (_call, least) => least + 1,
        add: async () => {},
        knows: async () => false,
      },
    },
    lock: async () => ({ release: async () => {} }),
    mustBeConsistent,
    verify: {
      level: "checksums",
      tools: { parsers: () => Promise.reject(new Error("nothing is parsed")), scratchParent: folder },
    },
    retention: undefined,
    isEverything: true,
    shrinkPercent: 50,
    hooks: {},
    pings: { start: to("/start"), success: to("/success"), failure: to("/failure") },
  }).catch((error: unknown) => {
    if (error !== broken) throw error;
  });
  expect(pinged).toEqual(["/start", ping]);
});
