import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { splitCypher } from "../../../src/engines/neo4j/statements.ts";
import { splitSql as splitPostgres } from "../../../src/engines/postgres/split.ts";
import { splitSql as splitSqlite } from "../../../src/engines/sqlite/split.ts";
import type { EngineName } from "../../../src/errors.ts";
import { shippedMigrations } from "../../../src/migrate/files.ts";
import type { Migration, Statement } from "../../../src/migrate/port.ts";
import {
  DATA_SETS,
  defaultSets,
  ownedNames,
  SHIPPED_SETS,
  setsOf,
  stateSets,
} from "../../../src/migrate/sets.ts";
import { verificationQuery } from "../../../src/migrate/verification.ts";

const INIT = join(import.meta.dirname, "../../../init");
const SPLITTERS: Partial<Record<EngineName, (text: string) => Statement[]>> = {
  sqlite: splitSqlite,
  postgres: splitPostgres,
  neo4j: splitCypher,
};

/** What may run twice. */
const REPEATABLE_UP =
  /^(CREATE [A-Z ]+ (\w+ )?IF NOT EXISTS|ALTER TABLE \w+\s+ADD COLUMN IF NOT EXISTS|ALTER INDEX (IF EXISTS )?\w+ SET|INSERT (OR IGNORE )?INTO|UPDATE|MERGE|MATCH|DO|SELECT gin_clean_pending_list)\b/;
const REPEATABLE_DOWN =
  /^(DROP [A-Z]+ .*IF EXISTS|ALTER TABLE \w+\s+DROP COLUMN IF EXISTS|ALTER INDEX (IF EXISTS )?\w+ RESET|UPDATE|DELETE|MATCH)\b/;

const migrationsOf = (engine: EngineName, set: string): Migration[] =>
  shippedMigrations(engine, set).migrations;

describe("shipped sets", () => {
  test("one for each folder of init/, in either direction", () => {
    const folders = readdirSync(INIT).flatMap((engine) =>
      readdirSync(join(INIT, engine)).map((set) => `${engine}/${set}`),
    );
    expect(SHIPPED_SETS.map(({ engine, set }) => `${engine}/${set}`).sort()).toEqual(folders.sort());
  });

  test.each(SHIPPED_SETS)("$engine/$set: no number is missing up to latest", ({ engine, set, latest }) => {
    const migrations = migrationsOf(engine, set);
    expect(migrations.map(({ seq }) => seq)).toEqual(Array.from({ length: latest }, (_, index) => index + 1));
    for (const { version, up } of migrations) {
      expect(up.file).toMatch(new RegExp(`^${version}-[a-z0-9-]+-up\\.(sql|cypher|redis)$`));
    }
  });

  test.each(DATA_SETS)("$engine/$set can be rolled back and counted", ({ engine, set }) => {
    for (const { up, down } of migrationsOf(engine, set)) {
      expect(down?.file).toBe(up.file.replace("-up.", "-down."));
    }
    // Redis has no query language: its keys are counted in code
    if (engine === "redis") expect(verificationQuery(engine, set)).toBeNull();
    else expect(verificationQuery(engine, set)).toMatch(/^(SELECT|RETURN) [\s\S]*[^;\s]$/m);
  });

  test("files that were released stay as they are: databases hold their checksums", () => {
    const checksums = Object.fromEntries(
      SHIPPED_SETS.flatMap(({ engine, set }) =>
        migrationsOf(engine, set).map(({ up }) => [`${engine}/${set}/${up.file}`, up.checksum]),
      ),
    );
    expect(checksums).toMatchObject({
      "neo4j/memory/V001-memory-up.cypher":
        "sha256:cbc818e649f4dd27f2cc6ebdb58bd3a93fdc8ca0a13800961333a74307460113",
      "postgres/memory/V001-memory-up.sql":
        "sha256:17c87f1665190649c378e23d7a91ba35dc16f5d19dd23c09bd228510d70bdd54",
      "postgres/vectors/V001-vectors-up.sql":
        "sha256:2ae1163a469411a2b23789f9093793cf6d5a0535820e850e95ebb1b12a97b19b",
      "sqlite/memory/V001-memory-up.sql":
        "sha256:a4b1241fd6a94165fa31781dd3227f81847b41deca3320c80db3153681b90597",
      "sqlite/state/V001-state-up.sql":
        "sha256:d3862d38fe42ac4a628e0470ea6dd3efcdf69f6656021949899604660a2bc69d",
      "sqlite/state/V002-archives-up.sql":
        "sha256:0af43c5b4629f4e1d54c42183f9fdbb4caf53af2a2ee7d61c752134edc00571e",
      "sqlite/state/V003-restores-up.sql":
        "sha256:bca94e08d4a4a4ec81e80c658db2ac58fb03eb13d4d89e297a9e206cd8205178",
      "sqlite/state/V004-samples-up.sql":
        "sha256:3b477c1da4757d710d4028ce180f2ef34f84f5bfcbf6cdec0d59b2e1ea7ed213",
    });
  });

  test.each(SHIPPED_SETS.filter(({ engine }) => engine !== "redis"))(
    "$engine/$set splits into statements that can run twice",
    ({ engine, set }) => {
      for (const { seq, up, down } of migrationsOf(engine, set)) {
        // SQLite knows no ADD COLUMN IF NOT EXISTS; its files run in one transaction with their history
        if (engine === "sqlite" && seq > 1) continue;
        for (const { text } of SPLITTERS[engine]!(up.text)) expect(text).toMatch(REPEATABLE_UP);
        if (down === null) continue;
        const statements = SPLITTERS[engine]!(down.text);
        expect(statements.length).toBeGreaterThan(0);
        for (const { text } of statements) expect(text).toMatch(REPEATABLE_DOWN);
      }
    },
  );

  test("the defaults are the memory; the rest is asked for by name", () => {
    const names = (engine: EngineName) => defaultSets(engine).map(({ set }) => set);
    expect(names("neo4j")).toEqual(["memory"]);
    expect(names("postgres")).toEqual(["memory", "vectors"]);
    expect(names("redis")).toEqual([]);
    expect(names("sqlite")).toEqual(["memory"]);
    expect(setsOf("neo4j").map(({ set }) => set)).toEqual(["memory", "catalog", "knowledge"]);
    expect(setsOf("postgres").map(({ set }) => set)).toEqual(["memory", "vectors", "sessions", "embeddings"]);
    expect(setsOf("redis").map(({ set }) => set)).toEqual(["namespaces"]);
    expect(setsOf("sqlite").map(({ set }) => set)).toEqual(["memory"]);
    expect(stateSets().map(({ engine, set }) => `${engine}/${set}`)).toEqual(["sqlite/state"]);
  });

  test("no two sets of an engine make a thing of the same name", () => {
    for (const engine of ["neo4j", "postgres", "redis", "sqlite"] as const) {
      expect(ownedNames(engine)).toEqual([...new Set(ownedNames(engine))]);
    }
    expect(ownedNames("postgres")).toContain("archived_sessions");
  });

  test("a set that is not there says that the installation is incomplete; it has no query", () => {
    expect(() => shippedMigrations("sqlite", "nothing")).toThrow(/sqlite\/nothing is missing/);
    expect(verificationQuery("sqlite", "user")).toBeNull();
  });
});

describe("plain sqlite3", () => {
  const sqlite3 = (input: string) =>
    execFileSync("sqlite3", ["-bail", ":memory:"], { input, encoding: "utf8" });
  const SCHEMA = ";\nSELECT type, name FROM sqlite_schema ORDER BY 1, 2;";
  const sets = SHIPPED_SETS.filter(({ engine }) => engine === "sqlite");

  test.each(sets)("runs $set, and the file as its single statements", ({ set, owns }) => {
    const files = migrationsOf("sqlite", set);
    const whole = sqlite3(files.map(({ up }) => up.text).join("\n") + SCHEMA);
    const single = files.flatMap(({ up }) => splitSqlite(up.text)).map(({ text }) => `${text};`);
    expect(sqlite3(single.join("\n") + SCHEMA)).toBe(whole);
    // an FTS5 table brings shadow tables, SQLite's own AUTOINCREMENT another
    const tables = [...whole.matchAll(/^table\|(.*)$/gm)].map(([, name]) => name!);
    expect(tables.filter((name) => !/^memori_index_|^sqlite_/.test(name)).sort()).toEqual([...owns].sort());
  });

  test("rolls the memory back to nothing, twice, and counts it", () => {
    const files = migrationsOf("sqlite", "memory");
    const up = files.map((file) => file.up.text).join("\n");
    const [first, ...later] = files.map((file) => file.down!.text);
    expect(sqlite3([up, ...later.reverse(), first, first].join("\n") + SCHEMA)).toBe("");
    expect(sqlite3(`${up + verificationQuery("sqlite", "memory")};`)).toBe("0|0|0|0|3\n");
  });
});
