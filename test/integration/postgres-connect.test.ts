import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectSocket, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Call, createCall } from "../../src/call.ts";
import type { Target } from "../../src/config/targets.ts";
import { connectPostgres, type PostgresConnection } from "../../src/engines/postgres/connect.ts";
import { postgres } from "../../src/engines/postgres/engine.ts";
import { postgresMemory } from "../../src/engines/postgres/memory.ts";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import { OpsError } from "../../src/errors.ts";
import { defaultSets } from "../../src/migrate/sets.ts";
import { applySets } from "../../src/migrate/shipped.ts";
import { remember } from "../contract/memory-store.ts";
import { HANGS_MS, testCall } from "../support/calls.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { freePort, postgresDatabase, type TestDatabase } from "../support/servers.ts";

const LIMITS = { connectMs: 800, queryMs: 1000, poolSize: 2 };
const CANARY = "canary-Pa55-word";

let database: TestDatabase;
let proxy: TestProxy;
let server: { host: string; port: number };
const opened: PostgresConnection[] = [];

beforeAll(async () => {
  database = await postgresDatabase();
  const url = new URL(database.url);
  server = { host: url.hostname, port: Number(url.port) };
  proxy = await startProxy({ target: server });
  const connection = await open({}, { connectMs: 5000, queryMs: 30_000, poolSize: 2 });
  await applySets(testCall(), postgresMigrations(connection), defaultSets("postgres"), false);
});
afterAll(async () => {
  for (const connection of opened) await connection.close();
  await proxy?.close();
  await database?.drop();
});

/** A connection to the test database; `change` replaces parts of its URL. */
async function open(
  change: { host?: string; port?: number; password?: string; database?: string; search?: string },
  limits = LIMITS,
): Promise<PostgresConnection> {
  const url = new URL(database.url);
  if (change.host) url.hostname = change.host;
  if (change.port) url.port = String(change.port);
  if (change.password) url.password = change.password;
  if (change.database) url.pathname = `/${change.database}`;
  url.search = change.search ?? "";
  const target: Target = { engine: "postgres", url: url.href, shown: "", identity: "" };
  const connection = await connectPostgres(target, limits);
  opened.push(connection);
  return connection;
}

/** What `work` failed with, and after how many ms; no part of it holds the password. */
async function failureOf(work: () => Promise<unknown>): Promise<{ error: OpsError; ms: number }> {
  const startedAt = performance.now();
  try {
    await work();
  } catch (error) {
    const ms = performance.now() - startedAt;
    expect(error).toBeInstanceOf(OpsError);
    const shown = inspect(error, { depth: 10, showHidden: true }) + JSON.stringify(error);
    expect(shown).not.toContain(CANARY);
    expect(shown).not.toContain(new URL(database.url).password);
    expect((error as OpsError).engine ?? "postgres").toBe("postgres");
    return { error: error as OpsError, ms };
  }
  throw new Error("it did not fail");
}

const select = (connection: PostgresConnection, call: Call = testCall()) =>
  connection.query(call, "SELECT 1 AS one");

describe("PostgreSQL: connecting", () => {
  it("names refused credentials", async () => {
    const connection = await open({ password: CANARY });
    const { error } = await failureOf(() => select(connection));
    expect(error.code).toBe("auth");
    expect(error.message).toContain(`${server.host}:${server.port}`);
    expect(error.hint).toContain("DATABASE_URL");
  });

  it("fails fast at a closed port, for every capability", async () => {
    const connection = await open({ port: await freePort(), password: CANARY });
    const store = postgresMemory(connection);
    const probe = await postgres.capabilities.probe!(connection);
    for (const work of [() => store.counts(testCall()), () => probe.probe(testCall())]) {
      const { error, ms } = await failureOf(work);
      expect(error.code).toBe("unreachable");
      expect(error.message).toContain("ECONNREFUSED");
      expect(ms).toBeLessThan(HANGS_MS);
    }
  });

  it("names a host that does not exist, and one with several addresses", async () => {
    const unknown = await open({ host: "no-such-host.invalid" });
    expect((await failureOf(() => select(unknown))).error.code).toBe("unreachable");
    const several = await open({ host: "localhost", port: await freePort() });
    const { error } = await failureOf(() => select(several));
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("ECONNREFUSED") });
  });

  it("says what to do about a missing database and missing tables", async () => {
    const nowhere = await open({ database: "no_such_database" });
    const missing = await failureOf(() => postgresMemory(nowhere).counts(testCall()));
    expect(missing.error).toMatchObject({ code: "failed", hint: "opsctl init postgres" });
    const empty = await postgresDatabase();
    const bare = await open({ database: new URL(empty.url).pathname.slice(1) });
    const tables = await failureOf(() => postgresMemory(bare).counts(testCall()));
    expect(tables.error).toMatchObject({ code: "failed", hint: "opsctl init postgres" });
    await bare.close();
    await empty.drop();
  });

  it("gives up on a server that does not answer the greeting", async () => {
    proxy.timeout();
    const connection = await open({ port: proxy.port });
    const { error, ms } = await failureOf(() => select(connection));
    await proxy.up();
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("in time") });
    expect(ms).toBeLessThan(HANGS_MS);
  });

  it("gives up on something that is no PostgreSQL", async () => {
    const other = await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    for (const search of ["", "?sslmode=require"]) {
      const connection = await open({ port: other.port, search });
      const { error, ms } = await failureOf(() => select(connection));
      expect(error.code).toBe("unreachable");
      expect(ms).toBeLessThan(HANGS_MS);
    }
    other.server.close();
  });

  it("refuses an unknown sslmode and an unreadable certificate as bad configuration", async () => {
    expect((await failureOf(() => open({ search: "?sslmode=verfy-full" }))).error.code).toBe("usage");
    const missing = "?sslmode=verify-full&sslrootcert=/nonexistent.pem";
    expect((await failureOf(() => open({ search: missing }))).error.code).toBe("usage");
  });
});

describe("PostgreSQL: a connection in use", () => {
  it("gives int8 as a number and JSON as values", async () => {
    const connection = await open({});
    const sql = `SELECT 9007199254740991::bigint AS n, '{"a":[1]}'::jsonb AS j, count(*) AS c
      FROM pg_class WHERE false`;
    expect(await connection.query(testCall(), sql)).toEqual([
      { n: 9_007_199_254_740_991, j: { a: [1] }, c: 0 },
    ]);
  });

  it("gives up on a query when the server freezes, and on the next connection", async () => {
    const connection = await open({ port: proxy.port });
    await select(connection);
    proxy.timeout();
    const first = await failureOf(() => select(connection));
    expect(first.error).toMatchObject({
      code: "unreachable",
      message: expect.stringContaining("stopped answering"),
    });
    expect(first.ms).toBeLessThan(HANGS_MS);
    const second = await failureOf(() => select(connection));
    expect(second.ms).toBeLessThan(HANGS_MS);
    await proxy.up();
    expect(await select(connection)).toEqual([{ one: 1 }]);
  });

  it("lets the server end a slow statement, and says which limit it was", async () => {
    const connection = await open({});
    const { error, ms } = await failureOf(() => connection.query(testCall(), "SELECT pg_sleep(20)"));
    expect(error).toMatchObject({ code: "failed", hint: expect.stringContaining("OPSCTL_QUERY_TIMEOUT") });
    expect(ms).toBeLessThan(HANGS_MS);
  });

  it("stops at once when the call is aborted, and cancels the statement on the server", async () => {
    const connection = await open({}, { ...LIMITS, queryMs: 20_000 });
    const abort = new AbortController();
    const call = createCall({ actor: "t@h", signal: abort.signal });
    const interrupted = new OpsError({ code: "interrupted", message: "interrupted" });
    setTimeout(() => abort.abort(interrupted), 200);
    const { error, ms } = await failureOf(() => connection.query(call, "SELECT pg_sleep(19.25)"));
    expect(error.code).toBe("interrupted");
    expect(ms).toBeLessThan(HANGS_MS);
    const running =
      "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(19.25)' AND state = 'active'";
    await expect.poll(() => connection.query(testCall(), running), { timeout: 3000 }).toEqual([]);
  });

  it("stops at the deadline, also while it connects", async () => {
    proxy.timeout();
    const connection = await open({ port: proxy.port }, { ...LIMITS, connectMs: 10_000 });
    const { ms } = await failureOf(() => select(connection, testCall(300)));
    await proxy.up();
    expect(ms).toBeLessThan(HANGS_MS);
  });

  it("survives that the server ends idle and busy connections", async () => {
    const connection = await open({});
    const other = await open({});
    await select(connection);
    const kill = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()`;
    await other.query(testCall(), kill);
    // the client may meet its dead connection once before it knows
    await expect
      .poll(() => select(connection).catch(() => "lost"), { timeout: HANGS_MS })
      .toEqual([{ one: 1 }]);
    const busy = failureOf(() => connection.query(testCall(), "SELECT pg_sleep(1.9)"));
    const running =
      "SELECT 1 AS one FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(1.9)' AND state = 'active'";
    await expect.poll(() => other.query(testCall(), running), { timeout: HANGS_MS }).toEqual([{ one: 1 }]);
    await other.query(testCall(), kill);
    expect((await busy).error.code).toBe("unreachable");
    expect(await select(connection)).toEqual([{ one: 1 }]);
  });

  it("says that all connections are in use when they are", async () => {
    const connection = await open({}, { ...LIMITS, poolSize: 1 });
    const session = await connection.lend(testCall());
    const { error } = await failureOf(() => select(connection));
    session.release(false);
    expect(error).toMatchObject({ code: "failed", hint: "raise OPSCTL_POOL_SIZE" });
  });

  it("closes in bounded time although the server is frozen and a connection is in use", async () => {
    const connection = await open({ port: proxy.port });
    await select(connection);
    const session = await connection.lend(testCall());
    proxy.timeout();
    const pending = session.query("SELECT 1").catch(() => {});
    const startedAt = performance.now();
    await connection.close();
    expect(performance.now() - startedAt).toBeLessThan(HANGS_MS);
    await pending;
    await proxy.up();
  });
});

describe("PostgreSQL: writes", () => {
  it("reports a lost reply to COMMIT as an unknown outcome, and a replay as a duplicate", async () => {
    const connection = await open({ port: proxy.port });
    const store = postgresMemory(connection);
    const write = remember({ key: "issue:lost reply", content: "x", eventId: "lost-1" });
    await store.counts(testCall());
    proxy.dropReplies((chunk, from) => from === "client" && chunk.includes("COMMIT"), { close: true });
    const { error } = await failureOf(() => store.apply(testCall(), [write]));
    expect(error.code).toBe("unknown_outcome");
    await proxy.up();
    expect(await store.apply(testCall(), [write])).toEqual(["duplicate"]);
  });

  it("reports a connection that is lost before COMMIT as unreachable: nothing was written", async () => {
    const connection = await open({ port: proxy.port });
    const store = postgresMemory(connection);
    const write = remember({ key: "issue:lost write", content: "x", eventId: "lost-2" });
    await store.counts(testCall());
    proxy.dropReplies((chunk, from) => from === "client" && chunk.includes("INSERT INTO memori_events"), {
      close: true,
    });
    expect((await failureOf(() => store.apply(testCall(), [write]))).error.code).toBe("unreachable");
    await proxy.up();
    expect(await store.apply(testCall(), [write])).toEqual(["new"]);
  });

  it("waits for another writer in bounded time", async () => {
    const connection = await open({});
    const store = postgresMemory(await open({}));
    const write = remember({ key: "issue:waiting", content: "x", eventId: "wait-1" });
    await connection.transaction(testCall(), async (session) => {
      await session.query("SELECT id FROM memori_statistics FOR UPDATE");
      const { error, ms } = await failureOf(() => store.apply(testCall(), [write]));
      expect(error.code).toBe("locked");
      expect(ms).toBeLessThan(HANGS_MS);
    });
    expect(await store.apply(testCall(), [write])).toEqual(["new"]);
  });
});

describe("PostgreSQL: TLS", () => {
  let folder: string;
  let tls: { server: Server; port: number };
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "opsctl-tls-"));
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    execFileSync(
      "openssl",
      ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...names, "-keyout", key, "-out", cert],
      {
        stdio: "ignore",
      },
    );
    tls = await listen((socket) =>
      terminateTls(socket, { key: readFileSync(key), cert: readFileSync(cert) }),
    );
  });
  afterAll(() => {
    tls?.server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const openTls = (host: string, search: string) => open({ host, port: tls.port, search });

  it("takes a certificate whose authority and name are right", async () => {
    const connection = await openTls("localhost", `?sslmode=verify-full&sslrootcert=${folder}/cert.pem`);
    expect(await select(connection)).toEqual([{ one: 1 }]);
    await connection.close();
  });

  it("refuses an unknown authority in every verifying mode, with no way back to plain text", async () => {
    for (const mode of ["verify-full", "verify-ca", "require", "prefer"]) {
      const { error } = await failureOf(async () => select(await openTls("localhost", `?sslmode=${mode}`)));
      expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("TLS") });
    }
  });

  it("refuses a wrong host name, except for verify-ca", async () => {
    const authority = `&sslrootcert=${folder}/cert.pem`;
    const { error } = await failureOf(async () =>
      select(await openTls("127.0.0.1", `?sslmode=verify-full${authority}`)),
    );
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("TLS") });
    expect(await select(await openTls("127.0.0.1", `?sslmode=verify-ca${authority}`))).toEqual([{ one: 1 }]);
    expect(await select(await openTls("127.0.0.1", "?sslmode=no-verify"))).toEqual([{ one: 1 }]);
  });

  it("says that a server without TLS has none", async () => {
    const connection = await open({ search: "?sslmode=verify-full" });
    const { error } = await failureOf(() => select(connection));
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("TLS") });
  });
});

function listen(accept: (socket: Socket) => void): Promise<{ server: Server; port: number }> {
  const started = createServer((socket) => accept(socket.on("error", () => {})));
  return new Promise((resolve) => {
    started.listen(0, "127.0.0.1", () => {
      resolve({ server: started, port: (started.address() as { port: number }).port });
    });
  });
}

/**
 * Speaks TLS to the client as PostgreSQL does (one request in plain text, "S"), and plain text to the real
 * server.
 */
function terminateTls(client: Socket, certificate: { key: Buffer; cert: Buffer }): void {
  client.once("data", () => {
    const secure = new TLSSocket(client, { isServer: true, ...certificate });
    const upstream = connectSocket(server.port, server.host);
    for (const socket of [secure, upstream]) socket.on("error", () => client.destroy());
    secure.pipe(upstream).pipe(secure);
    secure.on("close", () => upstream.destroy());
    client.write("S");
  });
}
