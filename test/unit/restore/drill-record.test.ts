/** What stands beside an archive after drills of some of its parts. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Archive, readArchive, sidecarPath } from "../../../src/backup/archives.ts";
import { estimateRestore, joinedDrill, notDrilled } from "../../../src/backup/drilled.ts";
import type { DrillRecord } from "../../../src/backup/metadata.ts";
import { type EngineName, type ErrorCode, OpsError } from "../../../src/errors.ts";
import { drillArchive } from "../../../src/restore/drill.ts";
import type { Drilled } from "../../../src/restore/port.ts";
import { testCall } from "../../support/calls.ts";
import { type Answer, drillTools, makeArchive, WHOLE } from "./drill-kit.ts";

const sidecarNow = async ({ path }: Archive) => (await readArchive(path)).sidecar!;
const finds = (changes: Partial<Drilled>) => () => ({ ...WHOLE, ...changes });
const fails = (code: ErrorCode) => () => Promise.reject(new OpsError({ code, message: "nobody answers" }));

describe("a drill of some parts", () => {
  let dir: string;
  let backups: string;
  let work: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "opsctl-drill-record-"));
    [backups, work] = [join(dir, "backups"), join(dir, "work")];
    mkdirSync(backups);
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  const answers = { postgres: finds({ problems: ["a row is gone"] }) };
  const drill = (archive: Archive, only?: EngineName[], answers: Partial<Record<EngineName, Answer>> = {}) =>
    drillArchive(testCall(), archive, only, drillTools(work, answers));

  it("leaves what an earlier one found of the others, with its time", async () => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    await drill(archive);
    const first = await sidecarNow(archive);
    await expect.poll(async () => new Date().toISOString() > first.drill!.at).toBe(true);
    await drill(archive, ["sqlite"]);
    const { drill: record, verified, metadata } = await sidecarNow(archive);
    expect(verified).toEqual(first.verified);
    expect(record).toMatchObject({ ok: true });
    expect(record!.parts).toEqual([
      first.drill!.parts[0],
      { ...first.drill!.parts[1], at: record!.at, duration_ms: expect.any(Number) },
    ]);
    expect(record!.at > first.drill!.at).toBe(true);
    expect(notDrilled(metadata, record!)).toEqual([]);
    expect(await estimateRestore(await readArchive(archive.path))).toMatchObject({ from: archive.name });
  });

  it("reads the records of an opsctl that knew one time for all parts", async () => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    await drill(archive);
    const sidecar = await sidecarNow(archive);
    const at = "2026-01-01T00:00:00.000Z";
    const older = sidecar.drill!.parts.map(({ at: _, ...part }) => part);
    const record = { ...sidecar.drill!, at, parts: older };
    writeFileSync(sidecarPath(archive.path), JSON.stringify({ ...sidecar, drill: record }));
    await drill(await readArchive(archive.path), ["sqlite"]);
    const { parts } = (await sidecarNow(archive)).drill!;
    expect(parts[0]).toEqual({ ...older[0], at });
  });

  it("is not well as long as another part is not", async () => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    await drill(archive, undefined, answers);
    await drill(archive, ["sqlite"]);
    const between = await sidecarNow(archive);
    expect(between.drill).toMatchObject({ ok: false, parts: [{ message: "a row is gone" }, { ok: true }] });
    expect(between.damaged).toMatchObject({ level: "drill" });
    await drill(archive, ["postgres"]);
    expect((await sidecarNow(archive)).drill).toMatchObject({
      ok: true,
      parts: [{ ok: true }, { ok: true }],
    });
  });

  it("leaves what is known of a part that had no verdict this time", async () => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    await drill(archive);
    const { drill: first } = await sidecarNow(archive);
    const now = { postgres: fails("unreachable"), sqlite: finds({ problems: ["a page is torn"] }) };
    await drill(archive, undefined, now);
    const { drill: record, damaged } = await sidecarNow(archive);
    expect(record).toMatchObject({ ok: false, parts: [first!.parts[0], { ok: false }] });
    expect(damaged).toMatchObject({ message: "sqlite app: a page is torn" });
  });

  it("of an archive without a sidecar says that nothing was recorded", async () => {
    const archive = await makeArchive(backups, ["postgres", "sqlite"]);
    rmSync(sidecarPath(archive.path));
    const alone = await readArchive(archive.path);
    expect(await drill(alone, ["sqlite"])).toMatchObject({ ok: true, recorded: false });
    expect(await drill(alone, undefined, answers)).toMatchObject({ ok: false, recorded: false });
    expect(existsSync(sidecarPath(archive.path))).toBe(false);
    // all of it was looked at: it gets one
    expect(await drill(alone)).toMatchObject({ ok: true, recorded: true });
    expect(await sidecarNow(archive)).toMatchObject({ verified: { level: "drill" } });
  });
});

describe("joinedDrill", () => {
  const part = (engine: EngineName, duration_ms: number, ok = true) => ({
    ...{ engine, name: "app", loaded: true, ok, message: null },
    duration_ms,
  });
  const record = (at: string, duration_ms: number, ...parts: DrillRecord["parts"]): DrillRecord => ({
    ...{ at, ok: parts.every(({ ok }) => ok), duration_ms, opsctl_version: "0.0.0" },
    parts,
  });
  it.each([
    {
      what: "a short part again",
      earlier: record("1", 600, part("postgres", 500), part("sqlite", 50)),
      drill: record("2", 120, part("sqlite", 30)),
      duration_ms: 590,
    },
    {
      what: "the longest part again",
      earlier: record("1", 600, part("postgres", 500), part("sqlite", 50)),
      drill: record("2", 400, part("postgres", 300)),
      duration_ms: 400,
    },
    {
      what: "all of them",
      earlier: record("1", 600, part("postgres", 500)),
      drill: record("2", 120, part("postgres", 30)),
      duration_ms: 120,
    },
    {
      what: "one after the other",
      earlier: record("1", 300, part("postgres", 200)),
      drill: record("2", 150, part("sqlite", 50)),
      duration_ms: 300,
    },
  ])("$what: a drill of all would take as long as the longest", ({ earlier, drill, duration_ms }) => {
    expect(joinedDrill(earlier, drill)).toMatchObject({ at: "2", duration_ms });
  });
});
