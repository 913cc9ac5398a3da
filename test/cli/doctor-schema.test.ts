/** Checks of schemas, migrations and the queue on a real PostgreSQL: planted, found, mended by their own commands, gone. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { askPostgres } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { mend } from "../support/doctor.ts";
import { look } from "../support/doctor-scope.ts";
import { writeMigrations } from "../support/migrations.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

let database: TestDatabase;
let env: Record<string, string>;
let box: Sandbox;
beforeAll(async () => {
  database = await postgresDatabase();
  env = { DATABASE_URL: database.url };
});
afterAll(() => database?.drop());
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.remove());

const found = (id: string) => look(box, id, { env });
const sql = (text: string) => askPostgres(database.url, text);
const subjects = async (id: string) => (await found(id)).map(({ severity, subject }) => [severity, subject]);

describe("shipped schemas", () => {
  it("missing, made by init", async () => {
    const missing = await found("schema-missing");
    expect(missing.map(({ severity }) => severity)).toEqual(["warning", "info"]);
    expect(missing[0]).toMatchObject({ evidence: "nothing of it is applied", remedies: [{ safe: false }] });
    expect(missing[0]!.subject).toMatch(/^set memory of postgres at /);
    await mend(box, env, missing[0]!);
    // without pgvector on the server the set "vectors" cannot be had, which is said and no more
    const left = (await found("schema-missing")).map(({ severity, evidence }) => `${severity} ${evidence}`);
    expect(left.filter((line) => !line.startsWith("info it cannot be applied here"))).toEqual([]);
    for (const id of ["schema-behind", "schema-newer", "migration-broken", "migration-edited"])
      expect(await found(id)).toEqual([]);
  });

  it("applied by history, and a table is gone", async () => {
    await sql("ALTER TABLE memori_terms RENAME TO elsewhere");
    const [gone, ...more] = (await found("schema-missing")).filter(({ severity }) => severity !== "info");
    expect(more).toEqual([]);
    expect(gone).toMatchObject({ severity: "error", remedies: [] });
    expect(gone!.evidence).toContain("memori_terms");
    await sql("ALTER TABLE elsewhere RENAME TO memori_terms");
    expect((await found("schema-missing")).filter(({ severity }) => severity !== "info")).toEqual([]);
  });

  it("written by a newer opsctl", async () => {
    await sql(
      `INSERT INTO opsctl_migrations (set_name, version, seq, file, description, checksum, state, statement_index, applied_by, applied_at, duration_ms, tool_version)
       SELECT set_name, 'V099', 99, 'V099-later-up.sql', 'later', checksum, state, statement_index, applied_by, applied_at, duration_ms, '9.9.9'
       FROM opsctl_migrations WHERE set_name = 'memory' AND seq = 1`,
    );
    expect(await found("schema-newer")).toMatchObject([
      {
        severity: "error",
        evidence: expect.stringMatching(/up to number 99 by opsctl 9\.9\.9/),
        remedies: [],
      },
    ]);
    expect(await found("migration-edited")).toEqual([]);
    await sql("DELETE FROM opsctl_migrations WHERE seq = 99");
    expect(await found("schema-newer")).toEqual([]);
  });
});

describe("the user's own files", () => {
  const FIRST = { "V001-a-up.sql": "CREATE TABLE doctor_a (n int);" };
  const write = (files: Record<string, string>) => writeMigrations(box, files, "postgres");

  it("pending, applied by migrate up", async () => {
    write(FIRST);
    const [behind, ...more] = await found("schema-behind");
    expect(more).toEqual([]);
    expect(behind).toMatchObject({ severity: "warning", evidence: "1 file not applied: V001-a-up.sql" });
    await mend(box, env, behind!);
    expect(await found("schema-behind")).toEqual([]);
  });

  it("edited after it was applied, taken as it is by its remedy", async () => {
    write({ "V001-a-up.sql": "CREATE TABLE doctor_a (n bigint);" });
    const [edited] = await found("migration-edited");
    expect(edited).toMatchObject({ severity: "warning", remedies: [{ safe: false }] });
    expect(edited!.subject).toMatch(/^V001 of migrations\/postgres on postgres at /);
    await mend(box, env, edited!);
    expect(await found("migration-edited")).toEqual([]);
  });

  it("gone after it was applied, forgotten by its remedy", async () => {
    write({
      "V002-b-up.sql": "CREATE TABLE doctor_b (n int);",
      "V001-a-up.sql": "CREATE TABLE doctor_a (n bigint);",
    });
    await box.ok(["migrate", "up", "postgres"], { env });
    rmSync(join(box.cwd, "migrations/postgres/V002-b-up.sql"));
    const [missing] = await found("migration-edited");
    expect(missing).toMatchObject({
      evidence: expect.stringContaining("V002-b-up.sql was applied and is not in"),
    });
    await mend(box, env, missing!);
    expect(await found("migration-edited")).toEqual([]);
  });

  it("broken off in the middle, gone on with by its remedy", async () => {
    const first = { "V001-a-up.sql": "CREATE TABLE doctor_a (n bigint);" };
    const text = (table: string) =>
      `-- opsctl: no-transaction\nCREATE TABLE doctor_c (n int);\nINSERT INTO ${table} VALUES (1);\n`;
    write({ ...first, "V003-c-up.sql": text("doctor_missing") });
    expect((await box.run(["migrate", "up", "postgres"], { env })).code).toBe(1);
    const [broken] = await found("migration-broken");
    expect(broken).toMatchObject({ severity: "error" });
    expect(broken!.evidence).toMatch(/^V003-c-up\.sql is failed on the way up: 1 statement done$/);
    // a file that is broken off is not pending besides
    expect(await subjects("schema-behind")).toEqual([]);
    write({ ...first, "V003-c-up.sql": text("doctor_c") });
    await mend(box, env, broken!);
    expect(await found("migration-broken")).toEqual([]);
    expect(await sql("SELECT n FROM doctor_c")).toEqual([{ n: 1 }]);
  });

  it("under way is not broken off, until its runner is killed", async () => {
    const first = { "V001-a-up.sql": "CREATE TABLE doctor_a (n bigint);" };
    const done =
      "-- opsctl: no-transaction\nCREATE TABLE doctor_c (n int);\nINSERT INTO doctor_c VALUES (1);\n";
    const slow = "-- opsctl: no-transaction\nSELECT 1;\nSELECT pg_sleep(600);\n";
    write({ ...first, "V003-c-up.sql": done, "V004-d-up.sql": slow });
    const runner = box.start(["migrate", "up", "postgres"], { env });
    const rows = () => sql("SELECT 1 FROM opsctl_migrations WHERE version = 'V004' AND state = 'running'");
    await expect.poll(async () => (await rows()).length, { timeout: 30_000 }).toBe(1);
    expect(await found("migration-broken")).toEqual([]);
    runner.kill("SIGKILL");
    await expect
      .poll(() => subjects("migration-broken"), { timeout: 30_000 })
      .toEqual([["error", expect.stringMatching(/^V004 of /)]]);
  });
});

describe("the queue", () => {
  let proxy: TestProxy;
  let away: Record<string, string>;
  beforeAll(async () => {
    const { hostname, port } = new URL(database.url);
    proxy = await startProxy({ target: { host: hostname, port: Number(port) } });
    const url = new URL(database.url);
    url.port = String(proxy.port);
    away = { DATABASE_URL: url.href };
  });
  afterAll(() => proxy?.close());

  it("writes that wait too long, delivered by queue sync", async () => {
    await proxy.down();
    await box.ok(["remember", "issue:queued", "fixed"], { env: away });
    const soon = { env: away, over: { now: Date.now() + 10 * 60_000 } };
    const late = { env: away, over: { now: Date.now() + 20 * 60_000 } };
    expect(await look(box, "queue-waiting", soon)).toEqual([]);
    const [waiting] = await look(box, "queue-waiting", late);
    expect(waiting).toMatchObject({ severity: "warning", remedies: [{ safe: true }] });
    expect(waiting!.evidence).toMatch(/^1 waiting, the oldest for (19|20) minutes; 15 minutes are allowed/);
    await proxy.up();
    await mend(box, away, waiting!);
    expect(await look(box, "queue-waiting", late)).toEqual([]);
  });

  it("writes that were refused, dropped by number", async () => {
    await proxy.down();
    await box.ok(["remember", "issue:refused", "fixed"], { env: away });
    await proxy.up();
    const state = new Database(box.state);
    state.exec("UPDATE opsctl_journal_targets SET state = 'rejected', last_error = 'too long'");
    const { seq } = state.prepare<[], { seq: number }>("SELECT seq FROM opsctl_journal_targets").get()!;
    state.close();
    expect(await look(box, "queue-rejected", { env: away })).toMatchObject([
      { severity: "warning", evidence: `1 rejected, number ${seq}: too long`, remedies: [] },
    ]);
    await box.ok(["queue", "drop", String(seq), "--yes"], { env: away });
    expect(await look(box, "queue-rejected", { env: away })).toEqual([]);
  });
});
