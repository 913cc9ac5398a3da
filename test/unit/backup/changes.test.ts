import { describe, expect, it } from "vitest";
import { shrinkWarnings } from "../../../src/backup/changes.ts";
import { diffSets } from "../../../src/backup/diff.ts";
import type { EngineName } from "../../../src/errors.ts";
import { archiveOf, DAY, metadataOf, NOW, type SetFacts, sidecarOf } from "./sets.ts";

const set = (sequence: number, facts: Partial<SetFacts> = {}): SetFacts => ({
  at: NOW + sequence * DAY,
  sequence,
  name: `set-${sequence}`,
  engines: ["postgres"],
  size: 1_000_000,
  ...facts,
});

describe("warnings about what fell", () => {
  it.each<[string, Partial<SetFacts>[], Partial<SetFacts>, boolean, string[]]>([
    ["nothing to compare with", [], {}, true, []],
    ["nothing fell", [{}], {}, true, []],
    ["less than the share", [{ counts: { rows: 100 } }], { counts: { rows: 51 } }, true, []],
    [
      "the share",
      [{ counts: { rows: 100 } }],
      { counts: { rows: 50 } },
      true,
      ["postgres app: 50 rows, 50 % fewer than the 100 in set-0"],
    ],
    [
      "zero where there was something",
      [{ counts: { rows: 3, tables: 1 } }],
      { counts: { rows: 0 } },
      true,
      [
        "postgres app: 0 rows, 100 % fewer than the 3 in set-0",
        "postgres app: 0 tables, 100 % fewer than the 1 in set-0",
      ],
    ],
    [
      "the archive's size",
      [{ size: 2_500_000 }],
      { size: 1_000_000 },
      true,
      ["the archive: 1000000 bytes, 60 % fewer than the 2500000 in set-0"],
    ],
    ["small archives are no measure", [{ size: 60_000 }], { size: 10 }, true, []],
    ["nor is one of other parts", [{ size: 2_500_000, engines: ["redis", "postgres"] }], {}, false, []],
    [
      "the last set with this part counts",
      [{ counts: { rows: 10 } }, { engines: ["redis"] }],
      { counts: { rows: 1 } },
      false,
      ["postgres app: 1 rows, 90 % fewer than the 10 in set-0"],
    ],
    [
      "only the last one counts",
      [{ counts: { rows: 100 } }, { counts: { rows: 10 } }],
      { counts: { rows: 8 } },
      true,
      [],
    ],
    [
      "an engine is gone from a run of everything",
      [{ engines: ["redis", "postgres"], size: 1 }],
      {},
      true,
      ["redis app is not in it, and was in set-0"],
    ],
    ["which engines were named is no change", [{ engines: ["redis", "postgres"], size: 1 }], {}, false, []],
    ["a part that failed is reported as such", [{}], { state: "incomplete" }, true, []],
  ])("%s", (_, earlier, current, isEverything, expected) => {
    const archives = earlier.map((facts, nth) => archiveOf(set(nth, facts)));
    expect(shrinkWarnings(archives, sidecarOf(set(9, current)), 50, isEverything)).toEqual(expected);
  });

  it("names a database that is gone, whatever was asked for", () => {
    const before = archiveOf(set(0, { engines: ["postgres", "postgres"] }));
    before.sidecar!.metadata.parts[1]!.name = "sales";
    expect(shrinkWarnings([before], sidecarOf(set(1)), 50)).toEqual([
      "postgres sales is not in it, and was in set-0",
    ]);
  });

  it("names the file that shrank", () => {
    const current = sidecarOf(set(1));
    current.metadata.files[0]!.size_bytes = 20_000;
    expect(shrinkWarnings([archiveOf(set(0))], current, 50)).toEqual([
      "postgres/app.dump: 20000 bytes, 80 % fewer than the 100000 in set-0",
    ]);
  });

  it("does not compare an archive with itself", () => {
    const current = set(1, { counts: { rows: 0 } });
    expect(shrinkWarnings([archiveOf(set(0)), archiveOf(current)], sidecarOf(current), 50)).toHaveLength(1);
  });
});

describe("the difference of two sets", () => {
  const holding = (counts: Record<string, number>, engines: EngineName[] = ["postgres"]) =>
    metadataOf(set(0, { counts, engines }));

  it("is empty for the same amounts", () => {
    expect(diffSets(holding({ rows: 3 }), holding({ rows: 3 }))).toEqual({
      parts: [],
      changes: [],
      unchanged: 2,
    });
  });

  it("has every amount that changed, came or went", () => {
    const { changes, unchanged } = diffSets(
      holding({ rows: 3, views: 1, __proto__: 1 }),
      holding({ rows: 5, tables: 2 }),
    );
    const rows = { engine: "postgres", part: "app", a: 3, b: 5, change: 2 };
    expect(changes).toEqual([
      { ...rows, kind: "count", name: "rows" },
      { ...rows, kind: "count", name: "views", a: 1, b: null, change: -1 },
      { ...rows, kind: "count", name: "tables", a: null, b: 2, change: 2 },
      { ...rows, kind: "breakdown", name: "public.users" },
    ]);
    expect(unchanged).toBe(0);
  });

  it("names parts that are not whole in both", () => {
    const { parts } = diffSets(
      metadataOf(set(0, { engines: ["neo4j", "redis"], state: "incomplete" })),
      metadataOf(set(1, { engines: ["neo4j", "sqlite"] })),
    );
    expect(parts).toEqual([
      { engine: "neo4j", name: "app", a: "failed", b: "complete" },
      { engine: "redis", name: "app", a: "complete", b: null },
      { engine: "sqlite", name: "app", a: null, b: "complete" },
    ]);
  });
});
