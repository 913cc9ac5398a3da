import { describe, expect, test } from "vitest";
import type { EngineName, OpsError } from "../../../src/errors.ts";
import { type ChosenSets, chooseSets, DEFAULT_SETS } from "../../../src/migrate/choose.ts";

const ENGINES = ["neo4j", "postgres", "redis", "sqlite"] as const;

function chosen(sets: ChosenSets): string[] {
  return ENGINES.flatMap((engine) => sets.of(engine).map(({ set }) => `${engine}/${set}`));
}

describe("which sets init applies", () => {
  test("named sets replace the defaults, in the order in which they are shipped", () => {
    expect(chosen(DEFAULT_SETS)).toEqual([
      "neo4j/memory",
      "postgres/memory",
      "postgres/vectors",
      "sqlite/memory",
    ]);
    const named = chooseSets(" knowledge,sessions , catalog,sessions", "--sets", ENGINES);
    expect(chosen(named)).toEqual(["neo4j/catalog", "neo4j/knowledge", "postgres/sessions"]);
    expect(named.areNamed).toBe(true);
  });

  test("one name may stand for sets of several engines", () => {
    expect(chosen(chooseSets("memory", "--sets", ["postgres"]))).toContain("neo4j/memory");
  });

  test("all of them, whatever else is named; nobody asked for each by name", () => {
    const all = chooseSets("catalog,all", "--sets", ENGINES);
    expect(chosen(all)).toHaveLength(9);
    expect(all.areNamed).toBe(false);
  });

  test("a setting may name sets of engines that this run leaves out", () => {
    expect(chosen(chooseSets("catalog,embeddings", "OPSCTL_SETS", null))).toEqual([
      "neo4j/catalog",
      "postgres/embeddings",
    ]);
  });

  const refused: { text: string; engines?: readonly EngineName[]; says: RegExp; hint: RegExp }[] = [
    { text: "", says: /--sets: a name is missing/, hint: /commas, or all/ },
    { text: "catalog,", says: /a name is missing/, hint: /commas/ },
    { text: "catalgo", says: /no shipped set "catalgo"/, hint: /did you mean catalog\?/ },
    { text: "al", says: /no shipped set "al"/, hint: /did you mean all\?/ },
    { text: "Sessions", says: /no shipped set "Sessions"/, hint: /did you mean sessions\?/ },
    { text: "warehouse-inventory", says: /no shipped set/, hint: /it may name memory, catalog, .*, or all/ },
    { text: "state", says: /belongs to opsctl's state file/, hint: /leave it out/ },
    { text: "user", says: /your own files/, hint: /opsctl migrate up/ },
    {
      text: "memory,catalog",
      engines: ["postgres", "redis"],
      says: /"catalog" is for neo4j, which this run leaves out/,
      hint: /opsctl init neo4j --sets catalog/,
    },
    { text: "vectorz", engines: ["neo4j"], says: /no shipped set/, hint: /it may name memory, catalog, kn/ },
  ];
  test.each(refused)("$text is refused", ({ text, engines = ENGINES, says, hint }) => {
    let error: OpsError | undefined;
    try {
      chooseSets(text, "--sets", engines);
    } catch (thrown) {
      error = thrown as OpsError;
    }
    expect(error).toMatchObject({ code: "usage" });
    expect(error?.message).toMatch(says);
    expect(error?.hint).toMatch(hint);
  });
});
