/** Who may back up PostgreSQL, and with which programs. */
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type PgbouncerServer, startPgbouncer } from "../../scripts/services/pgbouncer.ts";
import { postgresGrants } from "../../src/engines/postgres/backup-grants.ts";
import { askPostgres } from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { failure } from "../support/postgres-migrations.ts";
import { freePort, postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { BackupKit, parseFile } from "./postgres-backup-kit.ts";

const PASSWORD = "canary-Pa55-word";
const role = `test_${randomBytes(6).toString("hex")}`;
const plain = `${role}_plain`;
const kit = new BackupKit();
let database: TestDatabase;

beforeAll(async () => {
  database = await postgresDatabase();
  await askPostgres(
    database.url,
    `CREATE ROLE ${plain} LOGIN PASSWORD '${PASSWORD}';
     CREATE SCHEMA hidden; CREATE TABLE hidden.a (id serial); CREATE TABLE hidden.b (); CREATE TABLE hidden.c ();
     CREATE TABLE open (x int); INSERT INTO open VALUES (1); GRANT SELECT ON open TO ${plain};
     CREATE TABLE filtered (x int); INSERT INTO filtered VALUES (1), (2); ALTER TABLE filtered ENABLE ROW LEVEL SECURITY;
     SELECT lo_from_bytea(0, 'abc')`,
  );
});
afterAll(async () => {
  await kit.stop();
  const drop = (name: string) => `DROP OWNED BY ${name}; DROP ROLE ${name}`;
  await askPostgres(database.url, `${drop(role)}; ${drop(plain)}`);
  await database.drop();
});

const as = (user: string, password = PASSWORD, port?: number) => {
  const url = new URL(database.url);
  url.username = user;
  url.password = password;
  if (port) url.port = String(port);
  return url.href;
};
const opening = async (url: string) => {
  const part = await kit.part(url);
  try {
    return await failure(part.open(testCall()));
  } finally {
    await part.close();
  }
};

describe("a user", () => {
  it("who may not read everything is told what, before anything is written", async () => {
    const tables = await opening(as(plain));
    expect(tables.code).toBe("failed");
    expect(tables.message).toMatch(
      /tables and sequences hidden\.a, hidden\.a_id_seq, hidden\.b, and 2 more$/,
    );
    expect(tables.hint).toContain("pg_read_all_data");
    await askPostgres(database.url, `GRANT pg_read_all_data TO ${plain}`);
    const filtered = await opening(as(plain));
    expect(filtered.message).toMatch(/tables with row-level security public\.filtered$/);
    expect(filtered.hint).toContain("BYPASSRLS");
    await askPostgres(database.url, `ALTER ROLE ${plain} BYPASSRLS`);
    const objects = await opening(as(plain));
    expect(objects.message).toMatch(/large objects \d+$/);
    expect(objects.hint).toContain("opsctl backup grants");
  });

  it("made by the grants takes complete parts, and writes nothing", async () => {
    const name = new URL(database.url).pathname.slice(1);
    const url = new URL(database.url);
    const env = { PGPASSWORD: url.password };
    url.password = "";
    const grant = () =>
      execa("psql", ["-X", "-q", "-d", url.href], { env, input: postgresGrants(["postgres", name], role) });
    await grant();
    await grant();
    await askPostgres(database.url, `ALTER ROLE ${role} PASSWORD '${PASSWORD}'`);
    const parts = await kit.parts(as(role), ["postgres"]);
    const [own, , globals] = [
      await kit.take(parts[0]!),
      await kit.take(parts[1]!),
      await kit.take(parts[2]!),
    ];
    expect(own.copied).toMatchObject({
      counts: { tables: 5, rows: 3, large_objects: 1 },
      breakdown: { "public.filtered": 2, "public.open": 1, "hidden.a": 0 },
    });
    expect(globals.copied.consistency).toBe("consistent");
    const script = readFileSync(globals.files[0]!.file, "utf8");
    expect(script).toContain(`CREATE ROLE ${role};`);
    expect(script).not.toMatch(/SCRAM-SHA|PASSWORD '/);
    expect(await parseFile("postgres-globals", globals.files[0]!.file)).toEqual({
      counts: globals.copied.counts,
      breakdown: {},
    });
    for (const statement of [
      "INSERT INTO open VALUES (2)",
      "UPDATE filtered SET x = 3",
      "DELETE FROM open",
      "TRUNCATE open",
      "CREATE TABLE mine (x int)",
      "SELECT nextval('hidden.a_id_seq')",
      "SELECT lo_put((SELECT min(oid) FROM pg_largeobject_metadata), 0, 'x')",
    ]) {
      await expect(askPostgres(as(role), statement), statement).rejects.toThrow(
        /read-only transaction|permission denied/,
      );
      const insisting = `BEGIN READ WRITE; ${statement}`;
      await expect(askPostgres(as(role), insisting), statement).rejects.toThrow(/permission denied/);
    }
  });

  it("with a wrong password is refused as such, and a closed port is unreachable", async () => {
    const refused = await opening(as("postgres", "wrong"));
    expect(refused).toMatchObject({ code: "auth", engine: "postgres" });
    expect(await opening(as("postgres", "x", await freePort()))).toMatchObject({ code: "unreachable" });
  });
});

describe("globals", () => {
  it("that change during the backup are read again", async () => {
    const url = database.url;
    const globals = async () => (await kit.parts(url)).at(-1)!;
    const changed = `${role}_changed`;
    const between = () => askPostgres(url, `CREATE ROLE ${changed}`);
    const { copied, files, snapshot } = await kit.take(await globals(), { between });
    await askPostgres(url, `DROP ROLE ${changed}`);
    expect(copied.consistency).toBe("consistent");
    expect(readFileSync(files[0]!.file, "utf8")).toContain(`CREATE ROLE ${changed};`);
    expect(copied.at).toBeGreaterThanOrEqual(snapshot.at);
    expect(copied.identity).not.toEqual(snapshot.identity);
  });
});

describe("programs of PostgreSQL", () => {
  const folder = mkdtempSync(join(tmpdir(), "opsctl-old-tools-"));
  afterEach(() => vi.unstubAllEnvs());
  afterAll(() => rmSync(folder, { recursive: true }));

  const place = (name: string, version: string) => {
    const file = join(folder, name);
    writeFileSync(file, `#!/bin/sh\necho "${name} (PostgreSQL) ${version}"\n`);
    chmodSync(file, 0o755);
    return file;
  };

  it.each([
    ["pg_dump", 0],
    ["pg_restore", 0],
    ["pg_dumpall", 1],
  ])("that are older than the server are named: %s", async (name, index) => {
    const file = place(name, "11.22");
    vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
    const part = (await kit.parts(database.url))[index]!;
    const error = await failure(part.open(testCall()));
    await part.close();
    rmSync(file);
    expect(error.message).toMatch(
      new RegExp(`^${name} is version 11, and the server at .* is version \\d+$`),
    );
    expect(error.hint).toMatch(/^install the client programs of PostgreSQL \d+ and/);
  });

  it("that are missing are named", async () => {
    vi.stubEnv("PATH", folder);
    const error = await opening(database.url);
    expect(error.message).toMatch(/^pg_(dump|restore) cannot be run: it is not on PATH$/);
    expect(error.hint).toContain("postgresql-client");
  });
});

describe("PgBouncer", () => {
  const dir = mkdtempSync(join(tmpdir(), "opsctl-pgbouncer-"));
  const poolers: Partial<Record<"session" | "transaction", PgbouncerServer>> = {};
  beforeAll(async () => {
    chmodSync(dir, 0o711);
    for (const mode of ["session", "transaction"] as const)
      poolers[mode] = await startPgbouncer({ dir: join(dir, mode), upstream: database.url, mode });
  });
  afterAll(async () => {
    await Promise.all(Object.values(poolers).map((pooler) => pooler.stop()));
    rmSync(dir, { recursive: true, force: true });
  });

  it("that lends backends for a transaction is refused", async () => {
    const error = await opening(poolers.transaction!.url);
    expect(error.message).toContain("pg_dump needs a session");
    expect(error.hint).toContain("BACKUP_DATABASE_URL");
  });

  it("that keeps a session together is fine", async () => {
    const { copied } = await kit.take(await kit.part(poolers.session!.url));
    expect(copied.counts).toEqual({ tables: 5, rows: 3, large_objects: 1 });
  });
});
