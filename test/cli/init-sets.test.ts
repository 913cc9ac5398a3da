import { execFileSync } from "node:child_process";
import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DATA_SETS } from "../../src/migrate/sets.ts";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

describe("init --sets", () => {
  let box: Sandbox;
  let postgres: TestDatabase;
  let redis: OwnRedis;
  beforeAll(async () => {
    box = new Sandbox({ shared: true });
    [postgres, redis] = await Promise.all([postgresDatabase(), ownRedis()]);
  });
  afterAll(async () => {
    box?.remove();
    await Promise.all([postgres?.drop(), redis?.stop()]);
  });

  const env = (more: Record<string, string> = {}) => ({ DATABASE_URL: postgres.url, ...more });
  async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end();
    }
  }
  const applied = (engines: { engine: string; sets: { set: string; state: string }[] }[]) =>
    engines.flatMap(({ engine, sets }) => sets.map(({ set, state }) => `${engine} ${set} ${state}`));

  test("--help lists every set that is shipped", async () => {
    const help = await box.ok(["init", "--help"]);
    for (const { engine, set, title, isDefault } of DATA_SETS) {
      const line = new RegExp(`^ +${engine} +${set} +${title.replace(/[()]/g, "\\$&")}(.*)$`, "m");
      expect(line.exec(help)?.[1]).toBe(isDefault ? " (default)" : "");
    }
  });

  test("a set of an engine that was not asked for is a usage error that says where it belongs", async () => {
    const { code, stderr } = await box.run(["init", "postgres", "--sets", "sessions,catalog"], {
      env: env(),
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/"catalog" is for neo4j/);
    expect(stderr).toMatch(/Try: opsctl init neo4j --sets catalog\n/);
    expect(
      await query(postgres.url, "SELECT relname FROM pg_class WHERE relname ~ 'opsctl|sessions'"),
    ).toEqual([]);
  });

  test("--dry-run shows what the named sets would send, and writes nothing", async () => {
    const plan = await box.ok(["init", "postgres", "--sets", "sessions", "--dry-run"], { env: env() });
    expect(plan).toContain("set sessions v1.0.0: planned V001");
    expect(plan).toContain("CREATE TABLE IF NOT EXISTS archived_sessions");
    expect(
      await query(postgres.url, "SELECT relname FROM pg_class WHERE relname ~ 'opsctl|sessions'"),
    ).toEqual([]);
  });

  test("a profile names the sets of its stack, also of engines that this run leaves out; the flag wins", async () => {
    const toml = box.file(
      "stack.toml",
      '[default]\nopsctl_sets = "catalog, sessions"\n[analytics]\nOPSCTL_SETS = "embeddings"\n[odd]\nopsctl_sets = "sesions"\n',
    );
    const init = async (...args: string[]) =>
      applied(
        (await box.json("init", ["init", "postgres", "--config", toml, ...args], { env: env() })).engines,
      );
    expect(await init()).toEqual(["postgres sessions applied"]);
    expect(await init("--profile", "analytics")).toEqual(["postgres embeddings applied"]);
    expect(await init("--sets", "sessions,embeddings")).toEqual([
      "postgres sessions unchanged",
      "postgres embeddings unchanged",
    ]);
    // memory is not implied by other names: only now is it there
    expect(await query(postgres.url, "SELECT to_regclass('memori_events') AS name")).toEqual([
      { name: null },
    ]);
    expect(applied((await box.json("init", ["init", "postgres"], { env: env() })).engines)).toEqual([
      "postgres memory applied",
      "postgres vectors applied",
    ]);
    const odd = await box.run(["init", "postgres", "--config", toml, "--profile", "odd"], { env: env() });
    expect(odd).toMatchObject({ code: 2 });
    expect(odd.stderr).toMatch(/OPSCTL_SETS: there is no shipped set "sesions"\n.*did you mean sessions\?/);
  });

  test("an engine without any of the named sets is skipped, and says so", async () => {
    const { engines, changed } = await box.json(
      "init",
      ["init", "sqlite", "postgres", "--sets", "sessions"],
      {
        env: env({ OPSCTL_DB: `${box.dir}/untouched.db` }),
      },
    );
    expect(changed).toBe(false);
    expect(engines).toMatchObject([
      { engine: "postgres", status: "unchanged", notes: [] },
      { engine: "sqlite", status: "skipped", sets: [], notes: ["none of the named sets is for sqlite"] },
    ]);
  });

  test("Redis without a named set gets its settings and no history; with one, both", async () => {
    const client = new Redis(redis.url);
    const libraries = async () =>
      ((await client.call("FUNCTION", "LIST")) as string[][]).map(([, name]) => name);
    const run = async (...args: string[]) =>
      (await box.json("init", ["init", "redis", ...args], { env: { REDIS_URL: redis.url } })).engines[0];
    try {
      expect(await run("--skip-config")).toMatchObject({ status: "skipped", sets: [] });
      expect(await run()).toMatchObject({ status: "initialized", sets: [], error: null });
      expect(await libraries()).toEqual([]);
      expect(await run("--skip-config", "--sets", "namespaces")).toMatchObject({
        status: "initialized",
        sets: [{ set: "namespaces", state: "applied", versions: ["V001"] }],
        notes: ["settings were left alone"],
      });
      expect(await libraries()).toEqual(["opsctl_migrations_0"]);
      expect(await client.dbsize()).toBe(0);
      expect(await run("--sets", "all")).toMatchObject({ status: "unchanged" });
    } finally {
      client.disconnect();
    }
  });

  test("what needs a confirmation comes before all sets: a refusal leaves everything as it was", async () => {
    const [fresh, full] = await Promise.all([postgresDatabase(), ownRedis()]);
    const client = new Redis(full.url);
    try {
      await client.set("filler", "x".repeat(3_000_000));
      const both = ["init", "postgres", "redis", "--sets", "all", "--redis-config", "maxmemory=2mb"];
      const wanted = { env: { DATABASE_URL: fresh.url, REDIS_URL: full.url } };
      const refused = await box.run(both, wanted);
      expect(refused).toMatchObject({ code: 2, stdout: "" });
      expect(await query(fresh.url, "SELECT to_regclass('opsctl_migrations') AS name")).toEqual([
        { name: null },
      ]);
      expect(await client.config("GET", "maxmemory")).toEqual(["maxmemory", "0"]);
      expect(await client.call("FUNCTION", "LIST")).toEqual([]);
      expect((await box.json("init", [...both.slice(0, -2), "--yes"], wanted)).changed).toBe(true);
    } finally {
      client.disconnect();
      await Promise.all([fresh.drop(), full.stop()]);
    }
  });

  test("a set that was named and cannot be had is a failure; one that nobody named is only said", async () => {
    const name = `${new URL(postgres.url).pathname.slice(1)}_latin1`;
    const url = new URL(postgres.url);
    url.pathname = `/${name}`;
    await query(postgres.url, `CREATE DATABASE ${name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`);
    try {
      const latin = { env: { DATABASE_URL: url.href } };
      const named = await box.json("init", ["init", "postgres", "--sets", "sessions"], { ...latin, code: 1 });
      expect(named.engines).toMatchObject([
        {
          status: "failed",
          sets: [{ set: "sessions", state: "unavailable" }],
          error: { code: "failed", message: expect.stringMatching(/"sessions" cannot be applied: .*LATIN1/) },
        },
      ]);
      const all = await box.json("init", ["init", "postgres", "--sets", "all"], latin);
      expect(all.engines).toMatchObject([{ status: "unchanged", error: null }]);
      expect(await query(url.href, "SELECT to_regclass('opsctl_migrations') AS name")).toEqual([
        { name: null },
      ]);
    } finally {
      await query(postgres.url, `DROP DATABASE ${name} WITH (FORCE)`);
    }
  });

  test("--list tells sets that are whole from those that are not", async () => {
    const db = `${box.dir}/listed.db`;
    const listed = async () =>
      (await box.json("init --list", ["init", "--list"], { env: { OPSCTL_DB: db } })).sets.filter(
        ({ engine }: { engine: string }) => engine === "sqlite",
      );
    expect(await listed()).toMatchObject([{ set: "memory", state: "pending", applied: null, default: true }]);
    await box.ok(["init", "sqlite"], { env: { OPSCTL_DB: db } });
    expect(await listed()).toMatchObject([{ state: "applied", applied: "V002" }]);
    execFileSync("sqlite3", [db, "UPDATE opsctl_migrations SET state = 'failed'"]);
    expect(await listed()).toMatchObject([{ state: "partly", applied: null }]);
    const unreachable = await box.json("init --list", ["init", "--list"], {
      env: { DATABASE_URL: "postgresql://postgres@127.0.0.1:1/nothing" },
    });
    expect(unreachable.degraded).toMatchObject([{ engine: "postgres", code: "unreachable" }]);
    expect(unreachable.sets.filter(({ engine }: { engine: string }) => engine === "postgres")).toMatchObject(
      Array.from({ length: 4 }, () => ({ state: "unknown" })),
    );
  });

  test("the embedded file's memory is rolled back like any other set, and made anew by its next use", async () => {
    const file = { env: { OPSCTL_DB: `${box.dir}/embedded.db` } };
    await box.ok(["remember", "issue:a", "b"], file);
    await box.ok(
      ["migrate", "down", "sqlite", "--set", "memory", "--steps", "2", "--yes", "--no-copy"],
      file,
    );
    const tables = () =>
      execFileSync("sqlite3", [file.env.OPSCTL_DB, "SELECT name FROM sqlite_schema WHERE type = 'table'"], {
        encoding: "utf8",
      });
    expect(tables()).toBe("opsctl_migrations\n");
    await box.ok(["remember", "issue:c", "d"], file);
    const { fixes } = await box.json("fixes", ["fixes"], file);
    expect(fixes.map(({ issue }: { issue: string }) => issue)).toEqual(["c"]);
  });
});
