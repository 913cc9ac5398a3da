/** What the fault tests of `restore` bring back: one store of each engine, whose content has a digest. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname } from "node:path";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import { askPostgres, fillPostgres, makeSqlite } from "../support/backup.ts";
import type { Sandbox } from "../support/cli.ts";
import { type OwnRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

export interface Store {
  engine: "neo4j" | "postgres" | "redis" | "sqlite";
  env: Record<string, string>;
  /** Of everything that is live in it now, and of whether it can be used. */
  digest(): Promise<string>;
  /** Makes it differ from what was saved: changed, new and missing things. The same each time. */
  change(): Promise<void>;
  /** What a restore that is over leaves beside the live data. */
  leftovers(): Promise<string[]>;
  drop(): Promise<void>;
}

const sha256 = (parts: readonly string[]) => createHash("sha256").update(parts.join("\n")).digest("hex");

/** A database with a table of about so many bytes, a view, a sequence, a function and a setting of its own. */
export async function postgresStore(bytes: number, database?: TestDatabase): Promise<Store> {
  const { url, drop } = database ?? (await postgresDatabase());
  const name = new URL(url).pathname.slice(1);
  await fillPostgres(url, bytes);
  await askPostgres(
    url,
    `CREATE SEQUENCE numbers START 41; SELECT nextval('numbers');
     CREATE VIEW sizes AS SELECT id, length(content) AS size FROM data;
     CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT 2 * n';
     ALTER DATABASE ${name} SET statement_timeout TO '77min'`,
  );
  const found = [
    "SELECT md5(string_agg(d::text, '' ORDER BY id)) AS it FROM data d",
    "SELECT string_agg(relname || relkind::text, ',' ORDER BY relname) AS it FROM pg_class WHERE relnamespace = 'public'::regnamespace",
    "SELECT string_agg(proname || prosrc, ',' ORDER BY proname) AS it FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "SELECT last_value::text AS it FROM numbers",
    "SELECT current_setting('statement_timeout') AS it",
  ];
  const one = found.map((query) => `(${query})`).join(" || '/' || ");
  const maintenance = new URL(url);
  maintenance.pathname = "/postgres";
  return {
    engine: "postgres",
    env: { DATABASE_URL: url },
    digest: async () => String((await askPostgres(url, `SELECT ${one} AS it`))[0]!["it"]),
    change: async () => {
      await askPostgres(
        url,
        `UPDATE data SET content = 'changed' WHERE id % 7 = 0; DELETE FROM data WHERE id % 11 = 0;
         CREATE TABLE later (n int); DROP FUNCTION twice(int); SELECT nextval('numbers')`,
      );
    },
    async leftovers() {
      const beside = `SELECT datname FROM pg_database WHERE datname LIKE '${name}\\_\\_opsctl%' OR datname = '${name}' AND NOT datallowconn`;
      const rows = await askPostgres(maintenance.href, beside);
      return rows.map(({ datname }) => `database ${datname}`);
    },
    async drop() {
      const beside = `SELECT datname FROM pg_database WHERE datname LIKE '${name}\\_\\_opsctl%'`;
      for (const { datname } of await askPostgres(maintenance.href, beside))
        await askPostgres(maintenance.href, `DROP DATABASE IF EXISTS "${datname}" WITH (FORCE)`);
      await drop();
    },
  };
}

/** The embedded file of a sandbox, with a table of about so many bytes. */
export async function sqliteStore(box: Sandbox, bytes: number): Promise<Store> {
  await box.ok(["remember", "issue:disk full", "logs rotated"]);
  makeSqlite(box.db, bytes);
  const ask = <T>(work: (database: Database.Database) => T): T => {
    const database = new Database(box.db, { timeout: 20_000 });
    try {
      return work(database);
    } finally {
      database.close();
    }
  };
  return {
    engine: "sqlite",
    env: {},
    digest: async () =>
      ask((database) => {
        const rows = database.prepare("SELECT id, hex(content) AS content FROM data ORDER BY id").all();
        const schema = database.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").all();
        const checked = database.pragma("integrity_check", { simple: true });
        return sha256([...rows, ...schema, checked].map((row) => JSON.stringify(row)));
      }),
    change: async () =>
      ask((database) => {
        database.exec(
          `UPDATE data SET content = x'00' WHERE id % 7 = 0; DELETE FROM data WHERE id % 11 = 0;
           CREATE TABLE later (n INTEGER)`,
        );
      }),
    leftovers: async () => {
      const { dir, base } = { dir: dirname(box.db), base: basename(box.db) };
      if (!existsSync(box.db)) return [`${base} is gone`];
      return readdirSync(dir).filter(
        (name) => name.startsWith(base) && !/^\.db(-wal|-shm)?$/.test(name.slice(base.length - 3)),
      );
    },
    drop: async () => {},
  };
}

/** A server of the test's own, with keys in two databases, expiry times and a function. */
export async function redisStore(server: Pick<OwnRedis, "url" | "stop">, keys: number): Promise<Store> {
  const at = async <T>(work: (client: Redis) => Promise<T>, db = 0): Promise<T> => {
    const client = new Redis(server.url, { db, maxRetriesPerRequest: 0, retryStrategy: () => null });
    client.on("error", () => {});
    try {
      return await work(client);
    } finally {
      client.disconnect();
    }
  };
  const farAway = 4_102_444_800_000;
  await at(async (client) => {
    const pipeline = client.pipeline();
    for (let n = 0; n < keys; n += 1) pipeline.set(`key:${n}`, `${n} `.repeat(40));
    for (let n = 0; n < 100; n += 1) pipeline.set(`expires:${n}`, n, "PXAT", farAway + n);
    pipeline.rpush("list", "a", "b", "c");
    pipeline.zadd("sorted", 1, "one", 2, "two");
    pipeline.function(
      "LOAD",
      "REPLACE",
      "#!lua name=mine\nredis.register_function('mine', function() return 1 end)",
    );
    await pipeline.exec();
  });
  await at((client) => client.set("other", "database"), 3);
  // one by one: a server gives several in an order of its own
  const settings = async (client: Redis) => {
    const names = [
      "repl-diskless-load",
      "appendonly",
      "masterauth",
      "masteruser",
      "save",
      "replica-serve-stale-data",
    ];
    const found: unknown[] = [];
    for (const name of names) found.push(await client.config("GET", name));
    return found;
  };
  const asBefore = JSON.stringify(await at(settings));
  const content = async (client: Redis): Promise<string[]> => {
    const names = (await client.keys("*")).toSorted();
    const pipeline = client.pipeline();
    for (const name of names) pipeline.dumpBuffer(name).call("PEXPIRETIME", name);
    const replies = (await pipeline.exec()) ?? [];
    return [
      ...names,
      ...replies.map(([, reply]) => (reply instanceof Buffer ? reply.toString("hex") : String(reply))),
    ];
  };
  return {
    engine: "redis",
    env: { REDIS_URL: server.url },
    digest: async () => {
      const parts = [
        await at(content),
        await at(content, 3),
        await at(async (c) => [JSON.stringify(await c.function("LIST"))]),
      ];
      return sha256(parts.flat());
    },
    change: async () => {
      await at(async (client) => {
        await client.set("key:1", "changed");
        await client.del("list");
        await client.set("later", "1");
        await client.persist("expires:5");
      });
      await at((client) => client.del("other"), 3);
    },
    leftovers: async () =>
      at(async (client) => {
        const replication = await client.info("replication");
        const role = /^role:(\w+)/m.exec(replication)?.[1];
        const now = JSON.stringify(await settings(client));
        return [
          ...(role === "master" ? [] : [`role ${role}`]),
          ...(now === asBefore ? [] : [`settings ${now}`]),
        ];
      }),
    drop: async () => {
      await server.stop();
    },
  };
}
