/** What later commands make of drills: retention, `stats`, and the time that a restore may take. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type Archive, readArchive } from "../../../src/backup/archives.ts";
import { estimateRestore, lastDrilled } from "../../../src/backup/drilled.ts";
import { type DrillRecord, parseSidecar, type Sidecar } from "../../../src/backup/metadata.ts";
import { planRetention } from "../../../src/backup/retention.ts";
import type { EngineName } from "../../../src/errors.ts";
import { archiveOf, DAY, NOW, type SetFacts, sidecarOf, writeSet } from "../backup/sets.ts";

const recordOf = (engines: readonly EngineName[], changes: Partial<DrillRecord> = {}): DrillRecord => ({
  at: new Date(NOW).toISOString(),
  ok: true,
  duration_ms: 8000,
  opsctl_version: "0.1.0",
  parts: engines.map((engine) => ({
    engine,
    name: "app",
    loaded: engine !== "neo4j",
    ok: true,
    duration_ms: 5000,
    message: null,
  })),
  ...changes,
});

function drilled(sidecar: Sidecar, changes?: Partial<DrillRecord>): Sidecar {
  const drill = recordOf(
    sidecar.metadata.parts.map(({ engine }) => engine),
    changes,
  );
  return { ...sidecar, drill, verified: { ...sidecar.verified!, level: "drill" } };
}

function drilledSet(facts: SetFacts): Archive {
  const archive = archiveOf(facts);
  return { ...archive, sidecar: drilled(archive.sidecar!) };
}

describe("retention", () => {
  const days = (age: number, sequence: number, facts: Partial<SetFacts> = {}): SetFacts => ({
    at: NOW - age * DAY,
    sequence,
    name: `set-${sequence}`,
    ...facts,
  });
  const kept = (archives: Archive[]) =>
    planRetention(archives, { days: 7 }, NOW)
      .filter(({ action }) => action === "keep")
      .map(({ archive, reasons }) => [archive.name, reasons]);

  it("keeps the newest archive that passed a drill, however old", () => {
    const sets = [
      drilledSet(days(400, 1)),
      drilledSet(days(300, 2)),
      archiveOf(days(200, 3)),
      archiveOf(days(0, 4)),
    ];
    expect(kept(sets)).toEqual([
      ["set-4", ["the last good archive", "within 7 days before the newest good one"]],
      ["set-2", ["the last drilled archive"]],
    ]);
  });

  it("keeps the last one of each engine: an hourly drill of one does not push out that of all", () => {
    const sets = [
      drilledSet(days(300, 1)),
      drilledSet(days(20, 2, { engines: ["sqlite"] })),
      archiveOf(days(0, 3)),
    ];
    expect(kept(sets).slice(1)).toEqual([
      ["set-2", ["the last drilled archive"]],
      ["set-1", ["the last drilled archive of postgres"]],
    ]);
  });

  it("does not keep one for a drill that it passed before it was damaged", () => {
    const damaged = drilledSet(days(300, 1, { state: "damaged" }));
    expect(kept([damaged, archiveOf(days(200, 2)), archiveOf(days(0, 3))]).map(([name]) => name)).toEqual([
      "set-3",
    ]);
    expect(lastDrilled([damaged])).toBeUndefined();
  });
});

describe("the sidecar", () => {
  const text = (sidecar: object) => JSON.stringify(sidecar);

  it("is read without a drill, as older versions wrote it, and keeps one", () => {
    const plain = sidecarOf({ at: NOW, sequence: 1 });
    expect(parseSidecar(text(plain), "x").drill).toBeUndefined();
    expect(parseSidecar(text(drilled(plain)), "x").drill).toEqual(recordOf(["postgres", "sqlite"]));
  });

  it("is damaged when its drill is no drill", () => {
    const odd = { ...sidecarOf({ at: NOW, sequence: 1 }), drill: { ok: "yes" } };
    expect(() => parseSidecar(text(odd), "x")).toThrow(/drill/);
  });
});

describe("the time that a restore may take", () => {
  const folder = mkdtempSync(join(tmpdir(), "opsctl-estimate-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (facts: SetFacts, changes?: Partial<DrillRecord>) => {
    const path = writeSet(folder, facts);
    if (changes)
      writeFileSync(join(folder, `${facts.name}.json`), JSON.stringify(drilled(sidecarOf(facts), changes)));
    return readArchive(path);
  };

  it("is that of the newest drill with the same parts, by the size of both", async () => {
    const all = { engines: ["neo4j", "postgres"] as const };
    await write({ at: NOW - 3 * DAY, sequence: 1, name: "older", ...all }, { duration_ms: 1000 });
    await write({ at: NOW - 2 * DAY, sequence: 2, name: "two", ...all }, {});
    await write({ at: NOW - DAY, sequence: 3, name: "failed", ...all }, { ok: false });
    const newest = await write({ at: NOW, sequence: 4, name: "newest", ...all });
    expect(await estimateRestore(newest)).toEqual({ duration_ms: 8000, from: "two", without: ["neo4j"] });
    const one = await write({ at: NOW, sequence: 5, name: "one", engines: ["postgres"] });
    expect(await estimateRestore(one)).toMatchObject({ duration_ms: 4000, from: "two" });
    const other = await write({ at: NOW, sequence: 6, name: "other", engines: ["redis"] });
    expect(await estimateRestore(other)).toBeNull();
  });
});
