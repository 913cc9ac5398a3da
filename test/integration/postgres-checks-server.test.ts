import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { postgresChecks } from "../../src/engines/postgres/checks/index.ts";
import { LOCK_CLASS } from "../../src/engines/postgres/restore-session.ts";
import { type Look, type OwnPostgres, ownPostgres, Patient } from "./postgres-checks-kit.ts";

const ARGS = [
  ...["-c", "shared_preload_libraries=pg_stat_statements", "-c", "max_prepared_transactions=5"],
  ...["-c", "deadlock_timeout=100ms"],
];

let own: OwnPostgres;
let patient: Patient;
/** A host with 1 GiB of memory. */
let root: string;

beforeAll(async () => {
  own = await ownPostgres(ARGS);
  patient = await Patient.of(own.server.url);
  root = mkdtempSync(join(tmpdir(), "opsctl-root-"));
  mkdirSync(join(root, "proc"));
  writeFileSync(join(root, "proc/meminfo"), "MemTotal:        1048576 kB\nMemFree: 5 kB\n");
});
afterAll(async () => {
  await patient?.close();
  await own?.remove();
  rmSync(root, { recursive: true, force: true });
});

it("finds nothing above info on a fresh server with all sets", async () => {
  await patient.opsctl(["init", "postgres", "--sets", "all"]);
  for (const { id } of postgresChecks) {
    const found = await patient.find(id);
    expect({ id, found: found.filter(({ severity }) => severity !== "info") }).toEqual({ id, found: [] });
  }
});

interface Setting {
  check: string;
  name: string;
  value: string;
  severity: string;
  look?: () => Look;
}

const SETTINGS: Setting[] = [
  { check: "fsync-off", name: "fsync", value: "off", severity: "error" },
  { check: "full-page-writes-off", name: "full_page_writes", value: "off", severity: "error" },
  { check: "autovacuum-off", name: "autovacuum", value: "off", severity: "warning" },
  { check: "autovacuum-off", name: "track_counts", value: "off", severity: "warning" },
  { check: "checkpoint", name: "checkpoint_completion_target", value: "0.5", severity: "info" },
  { check: "password-encryption", name: "password_encryption", value: "md5", severity: "info" },
  { check: "slow-log", name: "log_min_duration_statement", value: "-1", severity: "info" },
  { check: "memory-settings", name: "effective_cache_size", value: "16MB", severity: "info" },
  { check: "memory-settings", name: "work_mem", value: "64MB", severity: "warning", look: () => ({ root }) },
];

it.each(SETTINGS)("$name = $value: found, mended, gone", async ({ check, name, value, severity, look }) => {
  await patient.sql(`ALTER SYSTEM SET ${name} = '${value}'`, "SELECT pg_reload_conf()");
  const about = () => patient.about(`postgres-${check}`, name, look?.());
  await expect.poll(about).toMatchObject({ severity });
  await patient.obey((await about())!);
  await expect.poll(about).toBeUndefined();
});

it("compares shared_buffers with the machine", async () => {
  // 128 MiB: an eighth of 1 GiB is fine, more than half of 200 MiB is not
  expect(await patient.about("postgres-memory-settings", "shared_buffers", { root })).toBeUndefined();
  const small = mkdtempSync(join(root, "small-"));
  mkdirSync(join(small, "proc"));
  writeFileSync(join(small, "proc/meminfo"), "MemTotal: 204800 kB\n");
  const found = await patient.about("postgres-memory-settings", "shared_buffers", { root: small });
  expect(found).toMatchObject({
    severity: "warning",
    evidence: "128.0 MiB of 200.0 MiB memory",
    remedies: [],
  });
  expect(found!.advice).toMatch(/data\/postgresql\.conf: shared_buffers = '50MB'; then restart the server$/);
  // that machine is another one
  expect(await patient.find("postgres-memory-settings", { root: small, host: "db.example" })).toEqual([]);
});

it("trust in pg_hba.conf: an error for other hosts, a warning for this one", async () => {
  const path = join(own.dir, "data/pg_hba.conf");
  const before = readFileSync(path, "utf8");
  expect(await patient.find("postgres-hba-trust")).toEqual([]);
  writeFileSync(
    path,
    `${before}local all all trust\nhost all all 10.0.0.0 255.0.0.0 trust\nhost all all ::1/128 trust\n`,
  );
  expect(await patient.find("postgres-hba-trust")).toMatchObject([
    { severity: "warning", evidence: "“local all all trust”" },
    { severity: "error", evidence: "“host all all 10.0.0.0 trust”", advice: expect.stringContaining(path) },
    { severity: "warning", evidence: "“host all all ::1 trust”" },
  ]);
  writeFileSync(path, before);
  expect(await patient.find("postgres-hba-trust")).toEqual([]);
});

it("clear text to another host", async () => {
  expect(await patient.find("postgres-ssl-off", { host: "db.example" })).toMatchObject([
    { severity: "warning", evidence: "not encrypted; the server has ssl = off" },
  ]);
  expect(await patient.find("postgres-ssl-off")).toEqual([]);
});

it("roles with MD5 passwords, and superusers", async () => {
  const about = () => patient.about("postgres-password-encryption", "roles with MD5 passwords");
  await patient.sql("SET password_encryption = md5", "CREATE ROLE old LOGIN PASSWORD 'x'");
  expect(await about()).toMatchObject({ severity: "info", evidence: "old" });
  await patient.sql("SET password_encryption = 'scram-sha-256'", "ALTER ROLE old PASSWORD 'x'");
  expect(await about()).toBeUndefined();
  expect(await patient.find("postgres-superuser")).toMatchObject([
    { severity: "info", subject: "role postgres" },
  ]);
});

it("connections near their limit", async () => {
  const [found] = await patient.find("postgres-connections", { connections: 1 });
  expect(found).toMatchObject({
    severity: "warning",
    evidence: expect.stringMatching(/^\d\.\d % of 197 connections .*; by user: postgres: \d$/),
  });
  expect(await patient.find("postgres-connections")).toEqual([]);
});

describe("ids", () => {
  /** About 21 ids. */
  const look = { wraparound: 0.000001 };

  it("of transactions: frozen", async () => {
    await patient.sql(
      "DO $$ BEGIN FOR n IN 1..60 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$",
    );
    const found = await patient.about("postgres-wraparound", "database opsctl", look);
    expect(found).toMatchObject({ severity: "error", remedies: [{ safe: true }] });
    expect((await patient.about("postgres-wraparound", "database template0", look))!.advice).toContain(
      "nobody may connect",
    );
    await patient.mend(found!);
    expect(await patient.about("postgres-wraparound", "database opsctl", look)).toBeUndefined();
    expect(await patient.find("postgres-wraparound")).toEqual([]);
  });

  it("of rows locked by several: frozen", async () => {
    const other = await patient.session();
    await patient.sql("CREATE TABLE shared AS SELECT 1 AS id");
    for (let n = 0; n < 30; n++) {
      for (const client of [patient.client, other]) await client.query("BEGIN; SELECT FROM shared FOR SHARE");
      for (const client of [patient.client, other]) await client.query("COMMIT");
    }
    const found = await patient.about("postgres-multixact", "database opsctl", look);
    expect(found!.evidence).toMatch(/^its oldest row is [23]\d multixacts old/);
    await patient.mend(found!);
    expect(await patient.about("postgres-multixact", "database opsctl", look)).toBeUndefined();
  });
});

it("a prepared transaction that nobody ended", async () => {
  await patient.sql(
    "CREATE TABLE two_phase (id int)",
    "BEGIN; INSERT INTO two_phase VALUES (1); PREPARE TRANSACTION 'it''s ours'",
  );
  const blocked = await patient.session();
  const waiting = blocked.query("BEGIN; LOCK TABLE two_phase; COMMIT");
  await expect
    .poll(() => patient.about("postgres-blocked", "a prepared transaction", { blocked: 0 }))
    .toBeDefined();
  const look = { long_transaction: 0 };
  const [found] = await patient.find("postgres-prepared-transaction", look);
  expect(found).toMatchObject({ severity: "warning", subject: "prepared transaction it's ours" });
  await patient.mend(found!);
  expect(await patient.find("postgres-prepared-transaction", look)).toEqual([]);
  await waiting;
});

it("a replication slot without a reader", async () => {
  await patient.sql("SELECT pg_create_physical_replication_slot('it', true)");
  const subject = "replication slot it";
  expect(await patient.about("postgres-replication-slot", subject)).toMatchObject({ severity: "info" });
  const found = await patient.about("postgres-replication-slot", subject, { large: 0 });
  expect(found).toMatchObject({ severity: "warning", remedies: [{ safe: false }] });
  await patient.mend(found!);
  expect(await patient.about("postgres-replication-slot", subject)).toBeUndefined();
});

it("what a killed drill left, but not what a live one uses", async () => {
  const subject = "database app__opsctl_drill_1a2b3c4d";
  const about = () => patient.about("postgres-leftover-databases", subject);
  await patient.sql("CREATE DATABASE app__opsctl_drill_1a2b3c4d", "CREATE DATABASE app__opsctl_drills");
  const holder = await patient.session();
  await holder.query(`SELECT pg_advisory_lock(${LOCK_CLASS}, x'1a2b3c4d'::int)`);
  expect(await about()).toBeUndefined();
  await holder.query("SELECT pg_advisory_unlock_all()");
  const cleanup = { argv: ["opsctl", "cleanup", "--only", "scratch_databases"], safe: false };
  expect(await about()).toMatchObject({ severity: "warning", remedies: [cleanup] });
  expect(await patient.find("postgres-leftover-databases")).toHaveLength(1);
  await patient.mend((await about())!);
  expect(await about()).toBeUndefined();
});

it("what a restore left, without a command that leaves it there", async () => {
  const [loaded, old] = ["app__opsctl_2a2b3c4d", "app__opsctl_old_2a2b3c4d"];
  await patient.sql(`CREATE DATABASE ${loaded}`, `CREATE DATABASE ${old}`);
  const about = (name: string) => patient.about("postgres-leftover-databases", `database ${name}`);
  const young = { remedies: [], advice: expect.stringContaining("cleanup takes it a week after") };
  expect(await about(loaded)).toMatchObject(young);
  expect(await about(old)).toMatchObject({
    remedies: [],
    advice: expect.stringContaining("--forget drops it"),
  });
  const { rows } = await patient.client.query("SELECT oid FROM pg_database WHERE datname = $1", [loaded]);
  const file = join(own.dir, "data", "base", String(rows[0].oid), "PG_VERSION");
  const weekAgo = Date.now() / 1000 - 8 * 86_400;
  utimesSync(file, weekAgo, weekAgo);
  await patient.mend((await about(loaded))!);
  expect(await about(loaded)).toBeUndefined();
  await patient.sql(`DROP DATABASE ${old}`);
});

it("a base backup is no replica", async () => {
  const { username, password, hostname, port } = new URL(own.server.url);
  const env = { ...process.env, PGUSER: username, PGPASSWORD: password, PGHOST: hostname, PGPORT: port };
  const args = ["-D", "-", "-F", "tar", "-X", "none", "-c", "fast", "--max-rate", "32k", "--no-manifest"];
  const copying = spawn(join(own.server.bin, "pg_basebackup"), args, { env, stdio: "ignore" });
  try {
    const backups = "SELECT FROM pg_stat_replication WHERE state = 'backup'";
    await expect
      .poll(async () => (await patient.client.query(backups)).rowCount, { timeout: 20_000 })
      .toBe(1);
    expect((await patient.statistics()).replicas).toEqual([]);
    expect(await patient.find("postgres-replica-lag", { large: 0 })).toEqual([]);
  } finally {
    copying.kill("SIGKILL");
  }
});

it("a collation of another version", async () => {
  await patient.sql(
    "CREATE DATABASE sorted TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'",
    "UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'sorted'",
  );
  const url = new URL(own.server.url);
  url.pathname = "/sorted";
  const sorted = await Patient.of(url.href);
  try {
    const [found] = await sorted.find("postgres-collation-version");
    expect(found).toMatchObject({
      severity: "warning",
      subject: "database sorted",
      evidence: expect.stringContaining("version 1.0, the system has"),
    });
    await sorted.mend(found!);
    expect(await sorted.find("postgres-collation-version")).toEqual([]);
  } finally {
    await sorted.close();
  }
});

describe("statements", () => {
  it("are counted with the extension", async () => {
    const [found] = await patient.find("postgres-slow-statements");
    expect(found).toMatchObject({ severity: "info", remedies: [{ safe: true }] });
    await patient.mend(found!);
    expect(await patient.find("postgres-slow-statements")).toEqual([]);
  });

  it("that are slow and frequent are named", async () => {
    const sessions = await Promise.all(Array.from({ length: 10 }, () => patient.session()));
    await Promise.all(sessions.map((session) => session.query("SELECT pg_sleep(1.01) /* slow */")));
    const found = await patient.find("postgres-slow-statements");
    expect(found).toMatchObject([
      { severity: "warning", evidence: expect.stringMatching(/^“SELECT pg_sleep\(\$1\) .*10 calls/) },
    ]);
    await patient.sql("SELECT pg_stat_statements_reset()");
    expect(await patient.find("postgres-slow-statements")).toEqual([]);
  });
});
