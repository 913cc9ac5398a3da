import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectPostgres, type PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import type { OpsError } from "../../src/errors.ts";
import { shippedMigrations } from "../../src/migrate/files.ts";
import { defaultSets, setsOf } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { testCall } from "../support/calls.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";

const LIMITS = { connectMs: 5000, queryMs: 20_000, poolSize: 2 };
const SETS = defaultSets("postgres");
const suffix = randomBytes(4).toString("hex");

let base: TestDatabase;
let admin: PostgresConnection;
const opened: PostgresConnection[] = [];

beforeAll(async () => {
  base = await postgresDatabase();
  admin = await open({});
});
afterAll(async () => {
  for (const connection of opened) await connection.close();
  await base?.drop();
});

function urlOf(change: { database?: string; user?: string; password?: string }): URL {
  const url = new URL(base.url);
  if (change.database) url.pathname = `/${change.database}`;
  if (change.user) url.username = change.user;
  if (change.password) url.password = change.password;
  return url;
}

async function open(change: Parameters<typeof urlOf>[0]): Promise<PostgresConnection> {
  const url = urlOf(change).href;
  const connection = await connectPostgres({ engine: "postgres", url, shown: "", identity: "" }, LIMITS);
  opened.push(connection);
  return connection;
}

const sql = (text: string, connection = admin) => connection.query(testCall(), text);

/** Runs `work` with the name of a database that does not exist yet, and drops it afterwards. */
async function withNewName(work: (name: string) => Promise<void>): Promise<void> {
  const name = `new_${randomBytes(5).toString("hex")}`;
  try {
    await work(name);
  } finally {
    for (const connection of opened.splice(1)) await connection.close();
    await sql(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
  }
}

async function withUser(options: string, work: (user: string) => Promise<void>): Promise<void> {
  const user = `user_${suffix}_${randomBytes(3).toString("hex")}`;
  await sql(`CREATE ROLE ${user} LOGIN PASSWORD 'u' ${options}`);
  try {
    await work(user);
  } finally {
    for (const connection of opened.splice(1)) await connection.close();
    await sql(`DROP OWNED BY ${user}`);
    await sql(`DROP ROLE ${user}`);
  }
}

const failure = (work: Promise<unknown>): Promise<OpsError> =>
  work.then(
    () => Promise.reject(new Error("it did not fail")),
    (error) => error,
  );

describe("PostgreSQL: init", () => {
  it("plans, creates database, extensions and sets, and changes nothing the second time", async () => {
    await withNewName(async (name) => {
      const connection = await open({ database: name });
      const target = postgresMigrations(connection);
      expect(await target.history(testCall())).toEqual([]);
      const changes = [
        { name: `database ${name}`, before: null, after: "created" },
        { name: "extension pg_trgm", before: null, after: "created" },
        { name: "extension vector", before: null, after: "created" },
      ];
      const plan = await applySets(testCall(), target, SETS, true);
      expect(plan.changes).toEqual(changes);
      expect(plan.sets.map((set) => set.state)).toEqual(["planned", "planned"]);
      expect(plan.statements.length).toBeGreaterThan(10);
      expect(await target.history(testCall())).toEqual([]);

      const first = await applySets(testCall(), target, SETS, false);
      expect(first.changes).toEqual(changes);
      expect(first.sets).toMatchObject([
        {
          set: "memory",
          state: "applied",
          counts: { records: 0, events: 0, agents: 0, terms: 0, indexes: 11 },
        },
        { set: "vectors", state: "applied", counts: { embeddings: 0 } },
      ]);
      const second = await applySets(testCall(), target, SETS, false);
      expect(second.changes).toEqual([]);
      expect(second.sets.map((set) => set.state)).toEqual(["unchanged", "unchanged"]);
      expect(await target.history(testCall())).toMatchObject([
        { set_name: "memory", version: "V001", seq: 1 },
        { set_name: "memory", version: "V002", seq: 2, state: "applied", applied_by: "tester@host" },
        { set_name: "vectors", version: "V001", seq: 1, state: "applied" },
      ]);
    });
  });

  it("names an extension that several sets use once", async () => {
    await withNewName(async (name) => {
      const target = postgresMigrations(await open({ database: name }));
      for (const dryRun of [true, false]) {
        const { changes, sets } = await applySets(testCall(), target, setsOf("postgres"), dryRun);
        expect(changes.map((change) => change.name)).toEqual([
          `database ${name}`,
          "extension pg_trgm",
          "extension vector",
        ]);
        expect(new Set(sets.map(({ state }) => state))).toEqual(new Set([dryRun ? "planned" : "applied"]));
      }
    });
  });

  it("lets several start at once on a server without the database", async () => {
    await withNewName(async (name) => {
      const targets = [];
      for (let n = 0; n < 4; n++) targets.push(postgresMigrations(await open({ database: name })));
      const reports = await Promise.all(targets.map((target) => applySets(testCall(), target, SETS, false)));
      const applied = reports.flatMap((report) => report.sets).filter((set) => set.state === "applied");
      expect(applied).toHaveLength(2);
      expect(reports.flatMap((report) => report.changes).map((change) => change.name)).toHaveLength(3);
    });
  });

  it("says what a user without rights cannot do", async () => {
    await withUser("NOCREATEDB", async (user) => {
      const connection = await open({ database: "not_there", user, password: "u" });
      for (const dryRun of [true, false]) {
        const error = await failure(postgresMigrations(connection).prepare(testCall(), ["memory"], dryRun));
        expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("CREATE DATABASE") });
      }
      const here = postgresMigrations(await open({ user, password: "u" }));
      expect(await here.unavailable(testCall(), "vectors")).toContain("may not create the extension");
      expect(await here.unavailable(testCall(), "memory")).toBeNull();
      // neither lock nor table is needed to read the history
      expect(await here.history(testCall())).toEqual([]);
    });
  });

  it("applies the memory without pg_trgm, where it cannot be had", async () => {
    await withUser("", async (user) => {
      await sql(`CREATE SCHEMA ${user} AUTHORIZATION ${user}`);
      const connection = await open({ user, password: "u" });
      const report = await applySets(testCall(), postgresMigrations(connection), SETS.slice(0, 1), false);
      expect(report.changes).toEqual([]);
      expect(report.sets[0]).toMatchObject({ state: "applied", counts: { indexes: 10 } });
    });
  });

  it("ships files that plain psql runs", async () => {
    await withNewName(async (name) => {
      await sql(`CREATE DATABASE ${name}`);
      for (const { set } of setsOf("postgres")) {
        for (const { up } of shippedMigrations("postgres", set).migrations) {
          const args = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-", urlOf({ database: name }).href];
          execFileSync("psql", args, { input: up.text, stdio: ["pipe", "pipe", "pipe"] });
        }
      }
      const rows = await sql(
        "SELECT count(*) AS n FROM memori_embeddings, memori_statistics",
        await open({ database: name }),
      );
      expect(rows).toEqual([{ n: 0 }]);
    });
  });
});
