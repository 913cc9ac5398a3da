import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Archive, readArchive } from "../../../src/backup/archives.ts";
import { recordVerified } from "../../../src/backup/verify-record.ts";
import { createCall } from "../../../src/call.ts";
import { type EngineName, OpsError } from "../../../src/errors.ts";
import { drillArchive } from "../../../src/restore/drill.ts";
import type { Drilled } from "../../../src/restore/port.ts";
import { testCall } from "../../support/calls.ts";
import { type Answer, drillTools, HOLDS, makeArchive, WHOLE } from "./drill-kit.ts";

let dir: string;
let backups: string;
let work: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "opsctl-drill-test-"));
  [backups, work] = [join(dir, "backups"), join(dir, "work")];
  mkdirSync(backups);
});
afterEach(() => {
  // whatever came out: nothing of a drill stays
  expect(readdirSync(work)).toEqual([]);
  rmSync(dir, { recursive: true });
});

const sidecarNow = async ({ path }: Archive) => (await readArchive(path)).sidecar!;
const unreachable = new OpsError({ code: "unreachable", engine: "postgres", message: "nobody answers" });
const failed = new OpsError({
  code: "failed",
  engine: "postgres",
  message: "it went away while it restored",
});
const fails = (error: Error) => () => Promise.reject(error);
const finds = (changes: Partial<Drilled>) => () => ({ ...WHOLE, ...changes });

interface Case {
  what: string;
  engines: EngineName[];
  answers: Partial<Record<EngineName, Answer>>;
  only?: EngineName[];
  level: "drill" | "parse" | null;
  /** In the sidecar. */
  verified: string | undefined;
}

describe("a drill that passes", () => {
  it.each<Case>([
    {
      what: "all were loaded",
      engines: ["postgres", "sqlite"],
      answers: {},
      level: "drill",
      verified: "drill",
    },
    {
      what: "Neo4j was only read",
      engines: ["neo4j", "sqlite"],
      answers: { neo4j: finds({ loaded: false }) },
      level: "drill",
      verified: "drill",
    },
    {
      what: "a reader of Neo4j that counts nothing",
      engines: ["neo4j"],
      answers: { neo4j: finds({ loaded: false, counts: {}, breakdown: {} }) },
      level: "drill",
      verified: "drill",
    },
    {
      what: "Redis was only read: there is no redis-server",
      engines: ["redis", "sqlite"],
      answers: { redis: finds({ loaded: false }) },
      level: "parse",
      verified: "parse",
    },
    {
      what: "some parts were asked for",
      engines: ["postgres", "sqlite"],
      answers: {},
      only: ["sqlite"],
      level: null,
      verified: undefined,
    },
    {
      what: "keys of Redis expired",
      engines: ["redis"],
      answers: { redis: finds({ counts: { rows: 1 }, breakdown: {} }) },
      level: "drill",
      verified: "drill",
    },
  ])("$what: level $level", async ({ engines, answers, only, level, verified }) => {
    const archive = await makeArchive(backups, engines);
    const drill = await drillArchive(testCall(), archive, only, drillTools(work, answers));
    expect(drill).toMatchObject({ ok: true, level, problems: [], trusted: "catalogue" });
    const sidecar = await sidecarNow(archive);
    expect([sidecar.verified?.level, sidecar.damaged]).toEqual([verified, null]);
    expect(sidecar.drill).toMatchObject({ ok: true, opsctl_version: expect.any(String) });
    expect(sidecar.drill!.parts.map(({ engine, ok, message }) => [engine, ok, message])).toEqual(
      (only ?? engines).map((engine) => [engine, true, null]),
    );
    expect(drill.recorded).toBe(true);
  });

  it("gives every part its files, a private folder of its own and what is expected", async () => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    const seen: string[] = [];
    const look: Answer = ({ id, files, work, expected, serverVersion }) => {
      expect(id).toMatch(/^[0-9a-f]{8}$/);
      expect(expected).toEqual(HOLDS);
      expect(serverVersion).toBe("1.2");
      expect([readdirSync(work), statSync(work).mode & 0o777]).toEqual([[], 0o700]);
      seen.push(work, ...files.map(({ local }) => readFileSync(local, "utf8")));
      return WHOLE;
    };
    await drillArchive(testCall(), archive, undefined, drillTools(work, { postgres: look, sqlite: look }));
    expect(new Set(seen).size).toBe(4);
    expect(seen).toEqual(expect.arrayContaining(["data of postgres\n", "data of sqlite\n"]));
  });

  it("takes back what an earlier drill found, and a closer look than a parser's is needed for that", async () => {
    const archive = await makeArchive(backups, ["sqlite"]);
    await drillArchive(
      testCall(),
      archive,
      undefined,
      drillTools(work, { sqlite: finds({ problems: ["bad"] }) }),
    );
    const again = await readArchive(archive.path);
    const { metadata, sha256, size_bytes } = again.sidecar!;
    await recordVerified(testCall(), again, "parse", { metadata, sha256, size_bytes });
    expect((await sidecarNow(archive)).damaged).toMatchObject({ level: "drill" });
    await drillArchive(testCall(), again, undefined, drillTools(work, {}));
    expect(await sidecarNow(archive)).toMatchObject({ damaged: null, verified: { level: "drill" } });
  });
});

describe("a drill that finds damage", () => {
  it.each<{ what: string; answer: Answer; problem: string }>([
    {
      what: "other counts",
      answer: finds({ breakdown: { users: 2, empty: 0 } }),
      problem: "users: it holds 2, and the metadata says 3",
    },
    {
      what: "a missing table without rows",
      answer: finds({ breakdown: { users: 3 } }),
      problem: "empty: it is missing, and the metadata says 0",
    },
    {
      what: "nothing at all",
      answer: finds({ counts: {}, breakdown: {} }),
      problem: "users: it is missing, and the metadata says 3",
    },
    {
      what: "what the engine says",
      answer: finds({ problems: ["the index users_pkey is not valid"] }),
      problem: "the index users_pkey is not valid",
    },
    {
      what: "files that the engine refuses",
      answer: fails(new OpsError({ code: "integrity", message: "the dump ends in the middle" })),
      problem: "the dump ends in the middle",
    },
  ])("$what", async ({ answer, problem }) => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    const drill = await drillArchive(testCall(), archive, undefined, drillTools(work, { postgres: answer }));
    expect(drill).toMatchObject({ ok: false, level: null });
    expect(drill.parts.map(({ problems }) => problems[0])).toEqual([problem, undefined]);
    const { damaged, drill: record } = await sidecarNow(archive);
    expect(damaged).toMatchObject({ level: "drill", message: `postgres app: ${problem}` });
    expect(record).toMatchObject({ ok: false, parts: [{ ok: false, message: problem }, { ok: true }] });
  });

  it("says everything once, also what the engine compared, too", async () => {
    const archive = await makeArchive(backups, ["sqlite"]);
    const problem = "rows: it holds 4, and the metadata says 3";
    const answer = finds({ counts: { rows: 4, tables: 2 }, problems: [problem] });
    const drill = await drillArchive(testCall(), archive, undefined, drillTools(work, { sqlite: answer }));
    expect(drill.parts[0]!.problems).toEqual([problem]);
  });

  it("restores nothing of an archive whose bytes were changed", async () => {
    const archive = await makeArchive(backups, ["sqlite"]);
    const bytes = readFileSync(archive.path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(archive.path, bytes);
    const drill = await drillArchive(testCall(), archive, undefined, drillTools(work, { sqlite: never }));
    expect(drill).toMatchObject({ ok: false, level: null, trusted: null, parts: [], recorded: true });
    expect(drill.problems).toHaveLength(1);
    const { damaged } = await sidecarNow(archive);
    expect(damaged).toMatchObject({ level: "checksums" });
    expect(damaged!.message.split(archive.name)).toHaveLength(2);
  });
});

const never: Answer = () => {
  throw new Error("it must not get that far");
};

describe("a drill without a verdict", () => {
  it.each([unreachable, failed])(
    "leaves the archive as it was when a scratch target says: $message",
    async (error) => {
      const archive = await makeArchive(backups, ["postgres", "sqlite"]);
      const before = await sidecarNow(archive);
      const tools = drillTools(work, { postgres: fails(error) });
      const drill = await drillArchive(testCall(), archive, undefined, tools);
      expect(drill).toMatchObject({ ok: false, level: null, recorded: false });
      expect(drill.parts.map(({ error }) => error)).toEqual([error, null]);
      expect(await sidecarNow(archive)).toEqual(before);
    },
  );

  it("records the damage of another part all the same", async () => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    const answers = { postgres: fails(unreachable), sqlite: finds({ problems: ["a page is torn"] }) };
    await drillArchive(testCall(), archive, undefined, drillTools(work, answers));
    const { damaged, drill } = await sidecarNow(archive);
    expect(damaged).toMatchObject({ message: "sqlite app: a page is torn" });
    expect(drill!.parts).toMatchObject([{ engine: "sqlite", ok: false, message: "a page is torn" }]);
  });

  it("asks for trust before anything is restored", async () => {
    const archive = await makeArchive(backups, ["sqlite"]);
    const unknown = { knows: async () => false };
    const refused = drillArchive(
      testCall(),
      archive,
      undefined,
      drillTools(work, { sqlite: never }, unknown),
    );
    await expect(refused).rejects.toMatchObject({ code: "usage" });
    expect((await sidecarNow(archive)).drill).toBeUndefined();
    const trusted = drillTools(work, {}, { ...unknown, trust: true });
    expect(await drillArchive(testCall(), archive, undefined, trusted)).toMatchObject({
      ok: true,
      trusted: "operator",
    });
  });

  it.each(["dir", "tar.gz"] as const)(
    "tells an archive (%s) that retention removed from a damaged one",
    async (container) => {
      const archive = await makeArchive(backups, ["sqlite"], container);
      const removing = {
        knows: async () => {
          renameSync(archive.path, join(dir, "gone"));
          return true;
        },
      };
      const drill = drillArchive(testCall(), archive, undefined, drillTools(work, {}, removing));
      await expect(drill).rejects.toMatchObject({ code: "not_found" });
    },
  );

  it("ends with the call when all parts have ended, and records nothing", async () => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    const over = new AbortController();
    const reason = new OpsError({ code: "interrupted", message: "interrupted" });
    let isCleanedUp = false;
    const begun = Promise.withResolvers<void>();
    const answers: Partial<Record<EngineName, Answer>> = {
      postgres: async (_task, call) => {
        const aborted = new Promise((resolve) => call.signal.addEventListener("abort", resolve));
        begun.resolve();
        await aborted;
        await new Promise(setImmediate);
        isCleanedUp = true;
        throw reason;
      },
      sqlite: async () => {
        await begun.promise;
        over.abort(reason);
        return finds({ problems: ["what was seen while it ended is no verdict"] })();
      },
    };
    const call = createCall({ actor: "test@host", signal: over.signal });
    await expect(drillArchive(call, archive, undefined, drillTools(work, answers))).rejects.toBe(reason);
    expect(isCleanedUp).toBe(true);
    expect(await sidecarNow(archive)).toMatchObject({ damaged: null });
  });
});
