import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createCall } from "../../src/call.ts";
import type { Limits, Target } from "../../src/config/targets.ts";
import { redis } from "../../src/engines/redis/engine.ts";
import { OpsError } from "../../src/errors.ts";
import { HANGS_MS } from "../support/calls.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { freePort, type OwnRedis, ownRedis } from "../support/servers.ts";

const LIMITS: Limits = { connectMs: 600, queryMs: 800, poolSize: 1 };
const CANARY = "canary-Pa55-word";

let server: OwnRedis;
let proxy: TestProxy;

beforeAll(async () => {
  // hears other clients while it loads, after every KiB; the default of 2 MiB is more than these tests load
  server = await ownRedis([
    "--enable-debug-command",
    "local",
    "--loading-process-events-interval-bytes",
    "1024",
  ]);
  proxy = await startProxy({ target: { host: "127.0.0.1", port: server.port } });
});
afterAll(async () => {
  await proxy?.close();
  await server?.stop();
});

const newCall = (timeoutMs?: number) =>
  createCall({ actor: "test@host", timeoutMs, signal: new AbortController().signal });

function target(url: string): Target {
  const database = new URL(url).pathname.slice(1);
  return { engine: "redis", url, database, shown: "redis://***", identity: "redis:test" };
}

const at = (port: number, password = server.password) => target(`redis://:${password}@127.0.0.1:${port}/0`);

interface Failure {
  error: OpsError;
  ms: number;
}

async function failureOf(work: () => Promise<unknown>): Promise<Failure> {
  const startedAt = performance.now();
  try {
    await work();
  } catch (error) {
    expect(error).toBeInstanceOf(OpsError);
    const shown = inspect(error, { depth: 10, showHidden: true });
    expect(shown).not.toContain(CANARY);
    expect(shown).not.toContain(server.password);
    expect((error as OpsError).engine).toBe("redis");
    return { error: error as OpsError, ms: performance.now() - startedAt };
  }
  throw new Error("it did not fail");
}

async function probe(where: Target, limits = LIMITS, call = newCall()) {
  const connection = await redis.connect(where, limits);
  try {
    return await (await redis.capabilities.probe!(connection)).probe(call);
  } finally {
    await connection.close();
  }
}

async function frozen<T>(work: () => Promise<T>): Promise<T> {
  process.kill(server.pid, "SIGSTOP");
  try {
    return await work();
  } finally {
    process.kill(server.pid, "SIGCONT");
  }
}

describe("a healthy server", () => {
  test("answers with its version and a latency", async () => {
    const result = await probe(at(server.port));
    expect(result.version).toMatch(/^\d+\.\d+\.\d+/);
    expect(result.latency_ms).toBeGreaterThanOrEqual(0);
  });

  test("is connected to by the first command only", async () => {
    const before = proxy.accepted;
    const connection = await redis.connect(at(proxy.port), LIMITS);
    expect(proxy.accepted).toBe(before);
    await connection.close();
    expect(proxy.accepted).toBe(before);
  });

  test("is connected to again after the connection was lost", async () => {
    const connection = await redis.connect(at(proxy.port), LIMITS);
    await connection.run(newCall(), ["PING"]);
    await proxy.down();
    const { error } = await failureOf(() => connection.run(newCall(), ["PING"]));
    expect(error.code).toBe("unreachable");
    await proxy.up();
    expect(await connection.run(newCall(), ["PING"])).toBe("PONG");
    await connection.close();
    await failureOf(() => connection.run(newCall(), ["PING"]));
  });

  test("is asked in the database of the URL", async () => {
    const url = `redis://:${server.password}@127.0.0.1:${server.port}`;
    const connection = await redis.connect(target(`${url}/3`), LIMITS);
    await connection.run(newCall(), ["SET", "here", "1"], { writes: true });
    expect(await connection.run(newCall(), ["INFO", "keyspace"])).toContain("db3:keys=1");
    await connection.run(newCall(), ["FLUSHDB"], { writes: true });
    await connection.close();
    const { error } = await failureOf(() => probe(target(`${url}/99`)));
    expect(error).toMatchObject({
      code: "failed",
      message: expect.stringContaining("no database of that number"),
    });
    await expect(probe(target(`${url}/name`))).rejects.toMatchObject({ code: "usage" });
  });
});

describe("credentials", () => {
  test("a wrong password is refused as auth, without showing it", async () => {
    const { error } = await failureOf(() => probe(at(server.port, CANARY)));
    expect(error.code).toBe("auth");
    expect(error.message).toContain(`127.0.0.1:${server.port}`);
    expect(error.hint).toContain("REDIS_PASSWORD");
  });

  test("no password where one is needed is auth", async () => {
    const { error } = await failureOf(() => probe(target(`redis://127.0.0.1:${server.port}/0`)));
    expect(error.code).toBe("auth");
  });

  test("a user of an ACL logs in; a forbidden command is auth and named", async () => {
    const admin = await redis.connect(at(server.port), LIMITS);
    await admin.run(newCall(), ["ACL", "SETUSER", "watcher", "on", `>${CANARY}`, "+ping"], { writes: true });
    await admin.run(newCall(), ["ACL", "SETUSER", "reader", "on", `>${CANARY}`, "+@read"], { writes: true });
    await admin.close();
    const watcher = target(`redis://watcher:${CANARY}@127.0.0.1:${server.port}/0`);
    expect(await probe(watcher)).toMatchObject({ version: "unknown" });
    // who has not even PING is connected all the same
    const reader = target(`redis://reader:${CANARY}@127.0.0.1:${server.port}/0`);
    expect(await probe(reader)).toMatchObject({ version: "unknown", latency_ms: expect.any(Number) });
    const connection = await redis.connect(watcher, LIMITS);
    const { error } = await failureOf(() => connection.run(newCall(), ["GET", "key"]));
    expect(error).toMatchObject({ code: "auth", message: expect.stringContaining("GET") });
    await connection.close();
  });

  test("a password that the server does not ask for is a warning", async () => {
    const admin = await redis.connect(at(server.port), LIMITS);
    const warnings: string[] = [];
    const call = { ...newCall(), log: (_level: string, message: string) => warnings.push(message) };
    await admin.run(newCall(), ["CONFIG", "SET", "requirepass", ""], { writes: true });
    try {
      await probe(at(server.port, CANARY), LIMITS, call);
    } finally {
      await admin.run(newCall(), ["CONFIG", "SET", "requirepass", server.password], { writes: true });
      await admin.close();
    }
    expect(warnings.join()).toContain("asks for no password");
  });
});

describe("time is bounded", () => {
  test("closed port", async () => {
    const port = await freePort();
    const { error, ms } = await failureOf(() => probe(at(port, CANARY)));
    expect(error).toMatchObject({
      code: "unreachable",
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    expect(ms).toBeLessThan(HANGS_MS);
  });

  test("unknown host", async () => {
    const { error } = await failureOf(() => probe(target(`redis://:${CANARY}@nowhere.invalid:6379/0`)));
    expect(error.code).toBe("unreachable");
    expect(error.message).toContain("nowhere.invalid:6379");
  });

  test("a server that is frozen before the connection", async () => {
    await frozen(async () => {
      const { error, ms } = await failureOf(() => probe(at(server.port)));
      expect(error.code).toBe("unreachable");
      expect(ms).toBeLessThan(HANGS_MS);
    });
  });

  test("a server that freezes during a query; closing does not wait", async () => {
    const connection = await redis.connect(at(server.port), LIMITS);
    await connection.run(newCall(), ["PING"]);
    await frozen(async () => {
      const { error, ms } = await failureOf(() => connection.run(newCall(), ["PING"]));
      expect(error.code).toBe("unreachable");
      expect(ms).toBeLessThan(HANGS_MS);
      const pending = failureOf(() => connection.run(newCall(), ["PING"]));
      const startedAt = performance.now();
      await connection.close();
      expect(performance.now() - startedAt).toBeLessThan(HANGS_MS);
      expect((await pending).error.code).toBe("unreachable");
    });
  });

  test("the call's deadline ends a command earlier", async () => {
    const connection = await redis.connect(at(server.port), { ...LIMITS, queryMs: 20_000 });
    await connection.run(newCall(), ["PING"]);
    await frozen(async () => {
      const startedAt = performance.now();
      await expect(connection.run(newCall(150), ["PING"])).rejects.toMatchObject({ code: "failed" });
      expect(performance.now() - startedAt).toBeLessThan(HANGS_MS);
    });
    expect(await connection.run(newCall(), ["PING"])).toBe("PONG");
    await connection.close();
  });

  test("an interrupt ends connecting", async () => {
    const interrupt = new AbortController();
    const call = createCall({ actor: "test@host", signal: interrupt.signal });
    setTimeout(() => interrupt.abort(new OpsError({ code: "interrupted", message: "interrupted" })), 50);
    await frozen(async () => {
      const work = probe(at(server.port), { ...LIMITS, connectMs: 20_000 }, call);
      await expect(work).rejects.toMatchObject({ code: "interrupted" });
    });
  });
});

describe("what became of a write", () => {
  test("a lost reply is an unknown outcome, and nothing is sent twice", async () => {
    const connection = await redis.connect(at(proxy.port), LIMITS);
    await connection.run(newCall(), ["DEL", "counter"], { writes: true });
    proxy.dropReplies((chunk, from) => from === "client" && chunk.includes("INCR"), { close: true });
    const { error } = await failureOf(() => connection.run(newCall(), ["INCR", "counter"], { writes: true }));
    expect(error.code).toBe("unknown_outcome");
    await proxy.up();
    expect(await connection.run(newCall(), ["GET", "counter"])).toBe("1");
    await connection.close();
  });

  test("a refused connection is no unknown outcome", async () => {
    const connection = await redis.connect(at(await freePort()), LIMITS);
    const { error } = await failureOf(() => connection.run(newCall(), ["INCR", "counter"], { writes: true }));
    expect(error.code).toBe("unreachable");
    await connection.close();
  });
});

describe("TLS", () => {
  let secure: OwnRedis;
  let port: number;
  let dir: string;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "opsctl-redis-tls-"));
    const [key, cert] = [join(dir, "key.pem"), join(dir, "cert.pem")];
    const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    execFileSync("openssl", [...request, ...names, "-days", "2", "-keyout", key, "-out", cert], {
      stdio: "pipe",
    });
    port = await freePort();
    const files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert];
    secure = await ownRedis(["--tls-port", String(port), ...files, "--tls-auth-clients", "no"]);
  });
  afterAll(async () => {
    await secure?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test("a certificate that nobody vouches for is refused before the password is sent", async () => {
    const { error } = await failureOf(() => probe(target(`rediss://:${CANARY}@localhost:${port}/0`)));
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("TLS certificate") });
    expect(error.hint).toContain("NODE_EXTRA_CA_CERTS");
  });

  test("a port that expects TLS is named as such", async () => {
    const { error } = await failureOf(() => probe(at(port, CANARY)));
    expect(error).toMatchObject({ code: "unreachable", hint: expect.stringContaining("rediss://") });
  });
});

describe("servers that are not ready or no Redis", () => {
  test("TLS asked of a port without it", async () => {
    const where = target(`rediss://:${CANARY}@127.0.0.1:${server.port}/0`);
    const { error, ms } = await failureOf(() => probe(where));
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("TLS") });
    expect(ms).toBeLessThan(HANGS_MS);
  });

  test("another protocol", async () => {
    const web = createServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    try {
      const { error } = await failureOf(() => probe(at((web.address() as AddressInfo).port, CANARY)));
      expect(error).toMatchObject({
        code: "unreachable",
        message: expect.stringContaining("Redis protocol"),
      });
    } finally {
      web.close();
    }
  });

  test("a server that is loading its data", async () => {
    const admin = await redis.connect(at(server.port), { ...LIMITS, queryMs: 10_000 });
    const fill = "for i=1,2000 do redis.call('SET','k'..i,'v') end";
    await admin.run(newCall(), ["EVAL", fill, "0"], { writes: true });
    await admin.run(newCall(), ["CONFIG", "SET", "key-load-delay", "1000"], { writes: true });
    const reloading = admin.run(newCall(), ["DEBUG", "RELOAD"], { writes: true });
    const answer = () =>
      probe(at(server.port), { ...LIMITS, connectMs: 2_000 }).then(
        () => "an answer",
        ({ code, message }: OpsError) => `${code}: ${message}`,
      );
    await expect.poll(answer, { timeout: HANGS_MS }).toMatch(/^unreachable: .*loading/);
    await reloading;
    await admin.run(newCall(), ["CONFIG", "SET", "key-load-delay", "0"], { writes: true });
    await admin.run(newCall(), ["FLUSHALL"], { writes: true });
    await admin.close();
  });
});
