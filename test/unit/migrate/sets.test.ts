import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { splitCypher } from "../../../src/engines/neo4j/statements.ts";
import { splitSql as splitPostgres } from "../../../src/engines/postgres/split.ts";
import { splitSql as splitSqlite } from "../../../src/engines/sqlite/split.ts";
import { shippedMigrations } from "../../../src/migrate/files.ts";
import { SHIPPED_SETS, setsOf, stateSets } from "../../../src/migrate/sets.ts";

const INIT = join(import.meta.dirname, "../../../init");
const SPLITTERS = { sqlite: splitSqlite, postgres: splitPostgres, neo4j: splitCypher };

describe("shipped sets", () => {
  test("one for each folder of init/, in either direction", () => {
    const folders = readdirSync(INIT).flatMap((engine) =>
      readdirSync(join(INIT, engine)).map((set) => `${engine}/${set}`),
    );
    expect(SHIPPED_SETS.map(({ engine, set }) => `${engine}/${set}`).sort()).toEqual(folders.sort());
  });

  test.each(SHIPPED_SETS)(
    "$engine/$set: latest is the highest file number, none is missing",
    ({ engine, set, latest }) => {
      const migrations = shippedMigrations(engine, set);
      expect(migrations.map(({ seq }) => seq)).toEqual(
        Array.from({ length: latest }, (_, index) => index + 1),
      );
      for (const { version, file, checksum, text } of migrations) {
        expect(file).toMatch(new RegExp(`^${version}-[a-z0-9-]+-up\\.(sql|cypher)$`));
        expect(checksum).toMatch(/^sha256:[0-9a-f]{64}$/);
        expect(text).not.toMatch(/\r|^\ufeff/);
      }
    },
  );

  test.each(SHIPPED_SETS.filter(({ engine }) => engine !== "redis"))(
    "$engine/$set splits into statements",
    ({ engine, set }) => {
      for (const { text } of shippedMigrations(engine, set)) {
        const statements = SPLITTERS[engine as keyof typeof SPLITTERS](text);
        expect(statements.length).toBeGreaterThan(0);
        for (const statement of statements)
          expect(statement).toMatch(/^(CREATE|INSERT|MERGE|ALTER|COMMENT|DO|SELECT|CALL)\b/);
      }
    },
  );

  test("init applies data sets; the state file is opsctl's own", () => {
    expect(setsOf("sqlite").map(({ set }) => set)).toEqual(["memory"]);
    expect(stateSets().map(({ engine, set }) => `${engine}/${set}`)).toEqual(["sqlite/state"]);
    expect(setsOf("redis")).toEqual([]);
  });

  test("a set that is not there says that the installation is incomplete", () => {
    expect(() => shippedMigrations("sqlite", "nothing")).toThrow(/sqlite\/nothing is missing/);
  });
});

describe("plain sqlite3", () => {
  const sets = SHIPPED_SETS.filter(({ engine }) => engine === "sqlite");
  test.each(sets)("runs $set, and the file as its single statements", ({ set }) => {
    const schema = (input: string) =>
      execFileSync("sqlite3", ["-bail", ":memory:"], {
        input: `${input}\nSELECT type, name FROM sqlite_schema ORDER BY 1, 2;`,
        encoding: "utf8",
      });
    const files = shippedMigrations("sqlite", set);
    const whole = schema(files.map(({ text }) => text).join("\n"));
    expect(whole).toContain("table|");
    const single = files.flatMap(({ text }) => splitSqlite(text)).map((statement) => `${statement};`);
    expect(schema(single.join("\n"))).toBe(whole);
  });
});
