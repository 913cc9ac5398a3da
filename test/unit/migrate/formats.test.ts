import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EngineName } from "../../../src/errors.ts";
import { readerOf } from "../../../src/migrate/formats/recognise.ts";
import { SLUG_LENGTH, slugOf } from "../../../src/migrate/formats/slug.ts";
import { FORMATS, type Format } from "../../../src/migrate/port.ts";
import { type Files, files, lay, place, read, UP_AND_DOWN } from "./formats-folder.ts";

describe("what each layout reads", () => {
  const CASES: [string, Format, EngineName, Files, [string, number, string, string, string | null][]][] = [
    [
      "opsctl, numbers",
      "opsctl",
      "postgres",
      files(
        "V10-b-up.sql",
        "V002-create-users-up.sql",
        "V002-create-users-down.sql",
        "README.md",
        ".gitkeep",
      ),
      [
        ["V002", 2, "create users", "V002-create-users-up.sql", "V002-create-users-down.sql"],
        ["V10", 10, "b", "V10-b-up.sql", null],
      ],
    ],
    [
      "opsctl, a number with other digits for each direction",
      "opsctl",
      "sqlite",
      files("V1-a-up.sql", "V001-a-down.sql"),
      [["V1", 1, "a", "V1-a-up.sql", "V001-a-down.sql"]],
    ],
    [
      "opsctl, dates",
      "opsctl",
      "neo4j",
      files(
        "2025-01-15-002-roll-up.cypher",
        "2025-01-15-001-add-index.cypher",
        "2025-01-15-001-add-index-down.cypher",
        "2024-02-29-001-step-down-up.cypher",
      ),
      [
        ["2024-02-29-001", 20240229001, "step down", "2024-02-29-001-step-down-up.cypher", null],
        [
          "2025-01-15-001",
          20250115001,
          "add index",
          "2025-01-15-001-add-index.cypher",
          "2025-01-15-001-add-index-down.cypher",
        ],
        ["2025-01-15-002", 20250115002, "roll", "2025-01-15-002-roll-up.cypher", null],
      ],
    ],
    [
      "opsctl, Redis",
      "opsctl",
      "redis",
      files("V1-limits-up.redis", "verify.redis"),
      [["V1", 1, "limits", "V1-limits-up.redis", null]],
    ],
    [
      "golang-migrate",
      "golang-migrate",
      "postgres",
      files(
        "000002_add_x.down.sql",
        "000002_add_x.up.sql",
        "10_b.up.sql",
        "20240101120000_.up.sql",
        "embed.go",
      ),
      [
        ["000002", 2, "add x", "000002_add_x.up.sql", "000002_add_x.down.sql"],
        ["10", 10, "b", "10_b.up.sql", null],
        ["20240101120000", 20240101120000, "", "20240101120000_.up.sql", null],
      ],
    ],
    [
      "golang-migrate, Neo4j",
      "golang-migrate",
      "neo4j",
      files("1578421040_movies.up.cypher", "1578421040_movies.down.cypher"),
      [["1578421040", 1578421040, "movies", "1578421040_movies.up.cypher", "1578421040_movies.down.cypher"]],
    ],
    [
      "dbmate",
      "dbmate",
      "sqlite",
      {
        "20240101-b.sql": "--migrate:up\nSELECT 1;\n",
        "20240102.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down\n\n",
        "20240103_create_a.sql": UP_AND_DOWN,
      },
      [
        ["20240101", 20240101, "b", "20240101-b.sql", null],
        ["20240102", 20240102, "", "20240102.sql", null],
        ["20240103", 20240103, "create a", "20240103_create_a.sql", "20240103_create_a.sql (migrate:down)"],
      ],
    ],
    [
      "diesel",
      "diesel",
      "postgres",
      {
        "00000000000000_diesel_initial_setup/up.sql": "SELECT 1;",
        "00000000000000_diesel_initial_setup/down.sql": "SELECT 2;",
        "2024-01-01-120000-000a_later/up.sql": "SELECT 1;",
        "2024-01-01-120000-0000_same_second/up.sql": "SELECT 1;",
        "20231231235959_no_dashes/up.sql": "SELECT 1;",
        ".diesel_lock": "",
      },
      [
        [
          "00000000000000",
          0,
          "diesel initial setup",
          "00000000000000_diesel_initial_setup/up.sql",
          "00000000000000_diesel_initial_setup/down.sql",
        ],
        ["20231231235959", 20231231235959 * 256, "no dashes", "20231231235959_no_dashes/up.sql", null],
        [
          "202401011200000000",
          20240101120000 * 256 + 1,
          "same second",
          "2024-01-01-120000-0000_same_second/up.sql",
          null,
        ],
        [
          "20240101120000000a",
          20240101120000 * 256 + 11,
          "later",
          "2024-01-01-120000-000a_later/up.sql",
          null,
        ],
      ],
    ],
  ];
  test.each(CASES)("%s", (_title, format, engine, laid, expected) => {
    lay(laid);
    const { format: found, migrations } = read("auto", engine);
    expect(found).toBe(format);
    expect(
      migrations.map(({ version, seq, description, up, down }) => [
        version,
        seq,
        description,
        up.file,
        down?.file ?? null,
      ]),
    ).toEqual(expected);
    expect(read(format, engine)).toEqual({ format, migrations });
  });

  test("an empty folder is one of opsctl's, unless somebody says otherwise", () => {
    expect(read()).toEqual({ format: "opsctl", migrations: [] });
    expect(read("dbmate")).toEqual({ format: "dbmate", migrations: [] });
  });

  test("what a name says is what makes the name", () => {
    const version: Record<Format, fc.Arbitrary<string>> = {
      opsctl: fc.oneof(
        fc.integer({ min: 1, max: 99_999 }).map((n) => `V${String(n).padStart(3, "0")}`),
        fc
          .tuple(fc.integer({ min: 1, max: 28 }), fc.integer({ min: 1, max: 999 }))
          .map(([day, n]) => `2025-02-${String(day).padStart(2, "0")}-${String(n).padStart(3, "0")}`),
      ),
      "golang-migrate": fc.integer({ min: 1 }).map(String),
      dbmate: fc.integer({ min: 1 }).map(String),
      diesel: fc.integer({ min: 1 }).map(String),
    };
    const words = fc.array(fc.constantFrom("up", "down", "create", "users", "x1"), {
      minLength: 1,
      maxLength: 4,
    });
    for (const format of FORMATS) {
      const reader = readerOf(format);
      fc.assert(
        fc.property(version[format], words, fc.constantFrom("up", "down"), (v, parts, direction) => {
          const name = reader.nameOf(v, parts.join(format === "opsctl" ? "-" : "_"), direction, "sql");
          const direct = ["dbmate", "diesel"].includes(format) ? "both" : direction;
          expect(reader.parse(name)).toMatchObject({
            version: v,
            description: parts.join(" "),
            direction: direct,
          });
        }),
      );
    }
  });

  test("a link to a file is the file, a link to a folder the folder", () => {
    lay({ "elsewhere/x.sql": "SELECT 7;", "migrations/.keep": "" });
    symlinkSync(join(place, "elsewhere/x.sql"), join(place, "migrations/V1-a-up.sql"));
    symlinkSync(join(place, "migrations"), join(place, "link"));
    const { migrations } = read("auto", "postgres", join(place, "link"));
    expect(migrations.map(({ up }) => up.text)).toEqual(["SELECT 7;"]);
  });
});

test("a thousand files, whatever order the disk has them in", () => {
  for (let n = 1; n <= 1000; n += 1)
    writeFileSync(join(place, `V${String(n * 7).padStart(5, "0")}-x-up.sql`), `SELECT ${n};`);
  expect(read().migrations.map(({ seq }) => seq)).toEqual(
    Array.from({ length: 1000 }, (_, index) => (index + 1) * 7),
  );
});

test.each([
  ["Create users", "-", "create-users"],
  ['Índice für "Größe", Æon & Łódź', "_", "indice_fur_grosse_aeon_lodz"],
  ["--../../etc/passwd", "-", "etc-passwd"],
  ["日本", "-", ""],
  [" \u0000\u202e ", "-", ""],
  [`${"word ".repeat(20)}`, "-", Array(12).fill("word").join("-")],
  ["x".repeat(200), "_", "x".repeat(SLUG_LENGTH)],
] as const)("slug of %j", (text, separator, slug) => {
  expect(slugOf(text, separator)).toBe(slug);
});
