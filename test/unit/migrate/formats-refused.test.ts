import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { EngineName } from "../../../src/errors.ts";
import type { Format } from "../../../src/migrate/port.ts";
import { type Files, files, lay, place, refusal, UP_AND_DOWN } from "./formats-folder.ts";

describe("folders that are refused", () => {
  const CASES: [string, EngineName, Format | "auto", Files, RegExp, RegExp][] = [
    [
      "another tool's name",
      "postgres",
      "auto",
      files("V1-a-up.sql", "V2_create.sql"),
      /V2_create\.sql: not a name/,
      /did you mean V2-create-up\.sql\?/,
    ],
    [
      "Flyway's name",
      "postgres",
      "opsctl",
      files("V1__Create_Users.sql"),
      /V1__Create_Users\.sql/,
      /V1-create-users-up\.sql/,
    ],
    ["a small v", "postgres", "opsctl", files("v1-a-down.sql"), /v1-a-down\.sql/, /V1-a-down\.sql/],
    ["no direction", "postgres", "auto", files("V1-a-up.sql", "V2-b.sql"), /V2-b\.sql/, /V2-b-up\.sql/],
    [
      "no description",
      "postgres",
      "auto",
      files("V1-a-up.sql", "V2-up.sql"),
      /V2-up\.sql/,
      /V2-description-up\.sql/,
    ],
    [
      "a direction for a description",
      "neo4j",
      "opsctl",
      files("2025-01-15-001-down.cypher"),
      /001-down\.cypher/,
      /2025-01-15-001-description-down\.cypher/,
    ],
    [
      "a short date",
      "neo4j",
      "opsctl",
      files("2025-1-5-2-x.cypher"),
      /2025-1-5-2-x/,
      /2025-01-05-002-x\.cypher/,
    ],
    [
      "a date without a number",
      "neo4j",
      "opsctl",
      files("2025-01-15-add-index.cypher"),
      /add-index/,
      /2025-01-15-001-add-index\.cypher/,
    ],
    ["another extension", "neo4j", "auto", files("V1-a-up.cql"), /V1-a-up\.cql/, /V1-a-up\.cypher/],
    ["another engine's file", "neo4j", "auto", files("V1-a-up.sql"), /V1-a-up\.sql/, /V1-a-up\.cypher/],
    [
      "an editor's copy",
      "postgres",
      "auto",
      files("V1-a-up.sql", "V1-a-up.sql~"),
      /V1-a-up\.sql~/,
      /move other files out/,
    ],
    [
      "a file of notes",
      "postgres",
      "auto",
      files("V1-a-up.sql", "notes.md"),
      /notes\.md/,
      /V001-create-users-up\.sql/,
    ],
    [
      "golang-migrate without a direction",
      "postgres",
      "golang-migrate",
      files("001-a.sql"),
      /001-a\.sql/,
      /001_a\.up\.sql/,
    ],
    [
      "dbmate without a version",
      "postgres",
      "dbmate",
      files("a.sql"),
      /a\.sql/,
      /20240101120000_create_users\.sql/,
    ],
    [
      "no day of the calendar",
      "neo4j",
      "auto",
      files("2025-02-29-001-a.cypher"),
      /2025-02-29-001-a\.cypher: there is no such day/,
      /YYYY-MM-DD-NNN/,
    ],
    ["version 0", "postgres", "auto", files("V000-a-up.sql"), /versions begin with V1/, /0/],
    ["version 0 of a peer", "postgres", "auto", files("0_a.up.sql"), /version 0 stands for/, /00/],
    [
      "a version beyond all numbers",
      "postgres",
      "auto",
      files("V9007199254740993-a-up.sql"),
      /too large/,
      /9007199254740991/,
    ],
    [
      "one version twice",
      "postgres",
      "auto",
      files("V1-a-up.sql", "V001-b-up.sql"),
      /V001-b-up\.sql and V1-a-up\.sql have the same version/,
      /migrate new/,
    ],
    [
      "one rollback twice",
      "postgres",
      "auto",
      files("V1-a-up.sql", "V1-a-down.sql", "V001-a-down.sql"),
      /V001-a-down\.sql and V1-a-down\.sql/,
      /migrate new/,
    ],
    [
      "with and without -up",
      "neo4j",
      "auto",
      files("2025-01-15-001-a.cypher", "2025-01-15-001-a-up.cypher"),
      /001-a-up\.cypher and 2025-01-15-001-a\.cypher/,
      /migrate new/,
    ],
    [
      "one number of golang-migrate twice",
      "postgres",
      "auto",
      files("1_a.up.sql", "001_b.up.sql"),
      /001_b\.up\.sql and 1_a\.up\.sql/,
      /migrate new/,
    ],
    [
      "one number of dbmate twice",
      "postgres",
      "auto",
      { "1_a.sql": UP_AND_DOWN, "01_b.sql": UP_AND_DOWN },
      /01_b\.sql and 1_a\.sql/,
      /migrate new/,
    ],
    [
      "a rollback alone",
      "postgres",
      "auto",
      files("V1-a-up.sql", "V2-b-down.sql"),
      /V2-b-down\.sql rolls back a version/,
      /V2/,
    ],
    [
      "two schemes",
      "postgres",
      "auto",
      files("V1-a-up.sql", "2025-01-15-001-b.sql"),
      /2025-01-15-001-b\.sql and V1-a-up\.sql/,
      /one of the two schemes/,
    ],
    [
      "two layouts",
      "postgres",
      "auto",
      files("V1-a-up.sql", "2_b.up.sql"),
      /mixes two layouts: 2_b\.up\.sql \(golang-migrate\) and V1-a-up\.sql \(opsctl\)/,
      /one layout/,
    ],
    [
      "two layouts, one named",
      "postgres",
      "golang-migrate",
      files("V1-a-up.sql", "2_b.up.sql"),
      /mixes two layouts/,
      /one layout/,
    ],
    [
      "another layout than the one named",
      "postgres",
      "dbmate",
      files("1_a.up.sql"),
      /looks like golang-migrate \(1_a\.up\.sql\), not like dbmate/,
      /--format golang-migrate/,
    ],
    [
      "files and folders",
      "postgres",
      "auto",
      { ...files("V1-a-up.sql"), "1_a/up.sql": "" },
      /V1-a-up\.sql \(opsctl\) and 1_a \(diesel\)/,
      /one layout/,
    ],
    [
      "a folder for a file",
      "postgres",
      "auto",
      { ...files("V1-a-up.sql"), "V2-b-up.sql/": "" },
      /V2-b-up\.sql is a folder/,
      /move it out/,
    ],
    [
      "no layout at all",
      "postgres",
      "auto",
      files("create.sql", "drop.sql"),
      /create\.sql is no name of a migration/,
      /opsctl: V001-create-users-up\.sql · golang-migrate: 000001_create_users\.up\.sql · dbmate: 20240101120000_create_users\.sql · diesel: 2024-01-01-120000_create_users\/up\.sql/,
    ],
    [
      "no layout at all for Neo4j",
      "neo4j",
      "auto",
      files("a.cypher"),
      /a\.cypher/,
      /opsctl: V001-create-users-up\.cypher · golang-migrate: [^·]*$/,
    ],
    [
      "SQL folders for Neo4j",
      "neo4j",
      "auto",
      { "1_a/up.sql": "" },
      /diesel is for SQL databases/,
      /golang-migrate/,
    ],
    ["dbmate for Redis", "redis", "dbmate", {}, /dbmate is for SQL databases, not for redis/, /--format/],
    [
      "dbmate in the order of texts",
      "postgres",
      "auto",
      { "9_a.sql": UP_AND_DOWN, "10_b.sql": UP_AND_DOWN },
      /dbmate runs 10_b\.sql before 9_a\.sql/,
      /same number of digits/,
    ],
    [
      "diesel in the order of texts",
      "postgres",
      "auto",
      { "9_a/up.sql": "", "10_b/up.sql": "" },
      /diesel runs 10_b\/up\.sql before 9_a\/up\.sql/,
      /digits/,
    ],
    [
      "a name with a line feed",
      "postgres",
      "auto",
      files("V1-a\nb-up.sql"),
      /"V1-a\\nb-up\.sql" cannot be printed/,
      /rename/,
    ],
    [
      "a name that writes backwards",
      "postgres",
      "auto",
      files("V1-a\u202e-up.sql"),
      /cannot be printed/,
      /rename/,
    ],
  ];
  test.each(CASES)("%s", (_title, engine, format, laid, message, hint) => {
    lay(laid);
    expect(refusal(format, engine)).toMatchObject({
      code: "usage",
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    });
  });

  test("a folder that is not there", () => {
    expect(refusal("auto", "postgres", join(place, "none"))).toMatchObject({
      code: "usage",
      message: "there is no folder migrations",
      hint: expect.stringContaining("opsctl migrate new postgres DESCRIPTION"),
    });
  });

  test("a file where the folder should be", () => {
    lay({ x: "" });
    expect(refusal("auto", "postgres", join(place, "x"))).toMatchObject({
      code: "usage",
      message: "migrations is a file",
    });
  });

  test("a link to nothing, and one to itself", () => {
    symlinkSync(join(place, "gone.sql"), join(place, "V1-a-up.sql"));
    expect(refusal()).toMatchObject({
      code: "usage",
      message: expect.stringMatching(/V1-a-up\.sql is a link to nothing/),
    });
    rmSync(join(place, "V1-a-up.sql"));
    symlinkSync("V1-a-up.sql", join(place, "V1-a-up.sql"));
    expect(refusal().message).toMatch(/is a link to nothing/);
  });

  test("a device behind a link: reading it would never end", () => {
    symlinkSync("/dev/zero", join(place, "V1-a-up.sql"));
    expect(refusal()).toMatchObject({
      code: "usage",
      message: expect.stringMatching(/neither a file nor a folder/),
    });
  });

  test("a file that the system refuses to read", () => {
    symlinkSync("/proc/self/mem", join(place, "V1-a-up.sql"));
    expect(refusal()).toMatchObject({
      code: "failed",
      message: "migrations/V1-a-up.sql cannot be read (EIO)",
    });
  });

  test("a name that is no UTF-8", () => {
    writeFileSync(
      Buffer.concat([Buffer.from(`${place}/V1-`), Buffer.from([0xff]), Buffer.from("-up.sql")]),
      "",
    );
    expect(refusal()).toMatchObject({ code: "usage", message: expect.stringMatching(/cannot be printed/) });
  });
});
