/** What a backup makes of the drill that is part of it. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { type Operation, operate } from "../../../src/backup/operate.ts";
import { OpsError } from "../../../src/errors.ts";
import { testCall } from "../../support/calls.ts";
import { makeArchive, partOf } from "./drill-kit.ts";

let folder: string;
let pinged: string[];
const server = createServer((request, response) => {
  pinged.push(request.url!);
  request.resume().on("end", () => response.end());
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "opsctl-drill-operate-"));
  pinged = [];
});
afterAll(() => {
  server.close();
});

const damage = new OpsError({ code: "integrity", message: "users: it is missing" });
const unreachable = new OpsError({ code: "unreachable", message: "the scratch server does not answer" });

interface Case {
  what: string;
  drill: NonNullable<Operation["drill"]>;
  damage?: OpsError;
  drillFailure?: OpsError;
  ping: string;
  /** How many archives retention removes. */
  removed: number;
}

it.each<Case>([
  { what: "passes", drill: async () => undefined, ping: "/success", removed: 1 },
  {
    what: "finds damage, which stands nowhere yet",
    drill: async () => damage,
    damage,
    ping: "/failure",
    removed: 0,
  },
  {
    what: "cannot be made",
    drill: async () => unreachable,
    drillFailure: unreachable,
    ping: "/failure",
    removed: 1,
  },
  {
    what: "throws",
    drill: () => Promise.reject(unreachable),
    drillFailure: unreachable,
    ping: "/failure",
    removed: 1,
  },
])("a drill that $what", async (expected) => {
  const url = (path: string) => `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const old = await makeArchive(folder, ["sqlite"]);
  const operated = await operate(testCall(), {
    run: {
      parts: [partOf("sqlite")],
      folder,
      container: "tar.zst",
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
    mustBeConsistent: false,
    verify: {
      level: "checksums",
      tools: { parsers: () => Promise.reject(new Error("nothing is parsed")), scratchParent: folder },
    },
    drill: expected.drill,
    retention: { last: 1 },
    isEverything: true,
    shrinkPercent: 50,
    hooks: {},
    pings: { success: url("/success"), failure: url("/failure") },
  });
  expect(operated.damage).toBe(expected.damage);
  expect(operated.drillFailure).toBe(expected.drillFailure);
  expect(pinged).toEqual([expected.ping]);
  expect(operated.removed).toEqual(expected.removed === 1 ? [old.name] : []);
  rmSync(folder, { recursive: true });
});
