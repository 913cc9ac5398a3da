/** What happens to a backup of PostgreSQL when something dies or stands still. */
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCall } from "../../src/call.ts";
import { OpsError } from "../../src/errors.ts";
import { askPostgres, fillPostgres } from "../support/backup.ts";
import { HANGS_MS, testCall } from "../support/calls.ts";
import { failure } from "../support/postgres-migrations.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { postgresDatabase, type TestDatabase } from "../support/servers.ts";
import { BackupKit, type TakeOptions, toolsRunning } from "./postgres-backup-kit.ts";

const kit = new BackupKit();
let database: TestDatabase;
let proxy: TestProxy;
let proxied: string;

beforeAll(async () => {
  database = await postgresDatabase();
  const url = new URL(database.url);
  proxy = await startProxy({ target: { host: url.hostname, port: Number(url.port) } });
  url.port = String(proxy.port);
  proxied = url.href;
  // more than lies in buffers and pipes on the way
  await fillPostgres(database.url, 16_000_000);
});
afterAll(async () => {
  await kit.stop();
  await proxy?.close();
  await database?.drop();
});

/** Does something when the first bytes of the dump are there. */
function atFirstBytes(work: () => unknown): Pick<TakeOptions, "onBytes"> {
  let isDone = false;
  return {
    onBytes: async () => {
      if (isDone) return;
      isDone = true;
      await work();
    },
  };
}

const noTools = () =>
  expect.poll(() => [...toolsRunning("pg_dump"), ...toolsRunning("pg_restore")], { timeout: HANGS_MS });

describe("a copy fails, and leaves no program behind,", () => {
  it.each(["pg_dump", "pg_restore"])("when %s is killed", async (name) => {
    const kill = () => {
      const pids = toolsRunning(name);
      expect(pids).toHaveLength(1);
      process.kill(pids[0]!, "SIGKILL");
    };
    const error = await failure(kit.take(await kit.part(database.url), atFirstBytes(kill)));
    expect(error).toMatchObject({ code: "failed", message: `${name} was ended by SIGKILL` });
    await noTools().toEqual([]);
  });

  it("when a write fails, with that failure", async () => {
    const full = new OpsError({ code: "failed", message: "the disk is full" });
    const fail = () => {
      throw full;
    };
    expect(await failure(kit.take(await kit.part(database.url), atFirstBytes(fail)))).toBe(full);
    await noTools().toEqual([]);
  });

  it("when the connection is cut: the server is unreachable", async () => {
    const error = await failure(
      kit.take(
        await kit.part(proxied),
        atFirstBytes(() => proxy.down()),
      ),
    );
    await proxy.up();
    expect(error).toMatchObject({ code: "unreachable", engine: "postgres" });
    await noTools().toEqual([]);
  });

  it("when only the backend of pg_dump is ended", async () => {
    const end = () =>
      askPostgres(
        database.url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%'",
      );
    const error = await failure(kit.take(await kit.part(database.url), atFirstBytes(end)));
    expect(error).toMatchObject({ code: "failed", message: expect.stringContaining("pg_dump") });
  });

  it("when the server stands still and the call is given up", async () => {
    const part = await kit.part(proxied);
    const stop = new AbortController();
    const call = createCall({ actor: "tester@host", signal: stop.signal });
    const gone = new OpsError({ code: "unreachable", message: "it has sent nothing" });
    const freeze = () => {
      proxy.timeout();
      stop.abort(gone);
      // pg_dump tells the server that it goes, and would wait for an answer until it is killed
      void proxy.down();
    };
    expect(await failure(kit.take(part, { call, ...atFirstBytes(freeze) }))).toBe(gone);
    await noTools().toEqual([]);
    await proxy.up();
  });

  it("when it is given up before it begins, or in any other phase", async () => {
    const stop = new AbortController();
    const call = createCall({ actor: "tester@host", signal: stop.signal });
    const interrupted = new OpsError({ code: "interrupted", message: "interrupted" });
    const between = () => stop.abort(interrupted);
    expect(await failure(kit.take(await kit.part(database.url), { call, between }))).toBe(interrupted);
    expect(await failure(kit.take(await kit.part(database.url), { call }))).toBe(interrupted);
    await noTools().toEqual([]);
  });
});

describe("a server that stands still", () => {
  it("is left in bounded time in each phase", async () => {
    const limits = { connectMs: 500, queryMs: 500 };
    proxy.timeout();
    const opening = await kit.part(proxied, limits);
    expect(await failure(opening.open(testCall()))).toMatchObject({ code: "unreachable" });
    await opening.close();
    await proxy.up();
    const preparing = await kit.part(proxied, limits);
    await preparing.open(testCall());
    proxy.timeout();
    expect(await failure(preparing.prepare(testCall()))).toMatchObject({ code: "unreachable" });
    await preparing.close();
    await proxy.up();
  });
});

describe("a table that is locked", () => {
  it("is waited for, which is no silence, and then named with who holds it", async () => {
    const holder = new pg.Client({ connectionString: database.url, application_name: "a long migration" });
    await holder.connect();
    await holder.query("BEGIN; LOCK TABLE data");
    let signs = 0;
    const progress = () => {
      signs++;
    };
    const part = await kit.part(database.url, { queryMs: 1_500 });
    const error = await failure(kit.take(part, { call: { ...testCall(), progress } }));
    await holder.end();
    expect(error).toMatchObject({ code: "locked", hint: expect.stringContaining("back up again") });
    expect(error.message).toMatch(/that are locked: public\.data by backend \d+ \(a long migration\)$/);
    expect(signs).toBeGreaterThan(0);
  });
});
