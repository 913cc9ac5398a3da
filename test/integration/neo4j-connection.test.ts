import { createServer, type Server } from "node:net";
import { inspect } from "node:util";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createCall } from "../../src/call.ts";
import type { Limits, Target } from "../../src/config/targets.ts";
import type { Neo4jConnection } from "../../src/engines/neo4j/connect.ts";
import { neo4jProbe } from "../../src/engines/neo4j/probe.ts";
import { OpsError } from "../../src/errors.ts";
import { HANGS_MS, testCall } from "../support/calls.ts";
import { openNeo4j } from "../support/neo4j.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { freePort, neo4jServer } from "../support/servers.ts";

const CANARY = "canary-7c1f0a";
const SHORT: Limits = { connectMs: 500, queryMs: 1_000, poolSize: 2 };
/** COMMIT without fields, as one chunk of Bolt. */
const COMMIT = Buffer.from("0002b0120000", "hex");
const isCommit = (chunk: Buffer, from: string) => from === "client" && chunk.includes(COMMIT);
const MERGE = "MERGE (p:Probe {id: 'once'}) SET p.times = coalesce(p.times, 0) + 1";

describe("Neo4j connection", () => {
  let connection: Neo4jConnection | undefined;
  let proxy: TestProxy;

  beforeAll(() => neo4jServer().wipe());
  beforeEach(async () => {
    const { hostname: host, port } = new URL(neo4jServer().uri);
    proxy = await startProxy({ target: { host, port: Number(port) } });
  });
  afterEach(async () => {
    const startedAt = performance.now();
    await connection?.close();
    expect(performance.now() - startedAt).toBeLessThan(HANGS_MS);
    connection = undefined;
    await proxy.close();
  });

  function open(changes: Partial<Target>, limits: Partial<Limits> = {}): Neo4jConnection {
    connection = openNeo4j(changes, { ...SHORT, ...limits }).connection;
    return connection;
  }
  const throughProxy = (limits: Partial<Limits> = {}) =>
    open({ url: `bolt://127.0.0.1:${proxy.port}` }, limits);
  const ping = (to: Neo4jConnection) => to.read(testCall(), "RETURN 1 AS one");

  /** The error of a work that fails, and how long it took, ms. It never shows the canary. */
  async function failureOf(work: Promise<unknown>): Promise<{ error: OpsError; ms: number }> {
    const startedAt = performance.now();
    const error = await work.then(
      () => expect.fail("it did not fail"),
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(OpsError);
    const { code, message, hint, engine } = error as OpsError;
    expect(inspect({ code, message, hint, stack: (error as OpsError).stack })).not.toContain(CANARY);
    expect(engine).toBe("neo4j");
    expect(hint).toBeTruthy();
    return { error: error as OpsError, ms: performance.now() - startedAt };
  }

  it("says version and round trip", async () => {
    const result = await neo4jProbe(open({})).probe(testCall());
    expect(result.version).toMatch(/^\d+\.\d+/);
    expect(result.latency_ms).toBeGreaterThan(0);
  });

  it("names host and port of a closed port at once", async () => {
    const port = await freePort();
    const url = `bolt://127.0.0.1:${port}`;
    const { error, ms } = await failureOf(ping(open({ url, password: CANARY })));
    expect(error).toMatchObject({ code: "unreachable" });
    expect(error.message).toContain(`127.0.0.1:${port}`);
    expect(ms).toBeLessThan(HANGS_MS);
  });

  it("tells refused credentials from everything else", async () => {
    const { error } = await failureOf(ping(open({ password: CANARY })));
    expect(error).toMatchObject({ code: "auth", hint: expect.stringContaining("NEO4J_PASSWORD") });
    await connection?.close();
    expect((await failureOf(ping(open({ password: undefined })))).error.code).toBe("auth");
  });

  it("comes back in time from a server that is frozen before it connects", async () => {
    proxy.timeout();
    const { error, ms } = await failureOf(ping(throughProxy()));
    expect(error.code).toBe("unreachable");
    expect(ms).toBeLessThan(HANGS_MS);
  });

  it("comes back in time from a server that freezes later, and works again after it", async () => {
    const frozen = throughProxy();
    await ping(frozen);
    proxy.timeout();
    const { error, ms } = await failureOf(ping(frozen));
    expect(error.code).toBe("unreachable");
    expect(ms).toBeLessThan(HANGS_MS);
    await proxy.up();
    expect(await ping(frozen)).toEqual([{ one: 1 }]);
  });

  it("connects anew after the server went away and came back", async () => {
    const restarted = throughProxy();
    await ping(restarted);
    await proxy.down();
    expect((await failureOf(ping(restarted))).error.code).toBe("unreachable");
    await proxy.up();
    expect(await ping(restarted)).toEqual([{ one: 1 }]);
  });

  it("ends a query when the call is aborted", async () => {
    const abort = new AbortController();
    const call = createCall({ actor: "t", signal: abort.signal });
    const reason = new OpsError({ code: "interrupted", message: "interrupted" });
    const slow = open({}).read(call, "UNWIND range(1, 1000000000) AS x WITH x WHERE x < 0 RETURN x");
    setTimeout(() => abort.abort(reason), 200);
    const startedAt = performance.now();
    await expect(slow).rejects.toBe(reason);
    expect(performance.now() - startedAt).toBeLessThan(HANGS_MS);
  });

  it("bounds a slow query", async () => {
    const slow = open({}).read(testCall(), "UNWIND range(1, 1000000000) AS x WITH x WHERE x < 0 RETURN x");
    const { ms } = await failureOf(slow);
    expect(ms).toBeLessThan(HANGS_MS);
  });

  it("says that TLS failed", async () => {
    const url = neo4jServer().uri.replace("bolt:", "bolt+s:");
    const { error } = await failureOf(ping(open({ url, password: CANARY })));
    expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("TLS") });
  });

  it("recognises a server of another protocol", async () => {
    const server = createServer((socket) =>
      socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
    );
    const port = await listen(server);
    try {
      const { error } = await failureOf(ping(open({ url: `bolt://127.0.0.1:${port}` })));
      expect(error).toMatchObject({ code: "unreachable", message: expect.stringContaining("HTTP") });
    } finally {
      server.close();
    }
  });

  it("does not quote a URL that the driver refuses", async () => {
    const url = `${neo4jServer().uri}?token=${CANARY}`;
    expect((await failureOf(ping(open({ url })))).error.code).toBe("usage");
  });

  it("shows the server's words for a syntax error only", async () => {
    const broken = open({});
    expect((await failureOf(broken.read(testCall(), "MTCH (n)"))).error.message).toContain("MTCH");
    const division = broken.read(testCall(), "RETURN 1 / $zero AS x", { zero: 0n });
    expect((await failureOf(division)).error.message).not.toContain("by zero");
  });

  it("repeats a commit whose reply was lost", async () => {
    await open({}).command(testCall(), "MATCH (p:Probe) DELETE p");
    await connection?.close();
    const writer = throughProxy();
    await ping(writer);
    let dropped = 0;
    proxy.dropReplies((chunk, from) => isCommit(chunk, from) && dropped++ === 0, { close: true });
    await writer.write(testCall(), (run) => run(MERGE));
    expect(dropped).toBeGreaterThan(0);
    const [row] = await writer.read<{ nodes: number; times: number }>(
      testCall(),
      "MATCH (p:Probe) RETURN count(p) AS nodes, sum(p.times) AS times",
    );
    expect(row).toEqual({ nodes: 1, times: 2 });
  });

  it("says that the outcome is unknown when the reply stays away", async () => {
    const writer = throughProxy();
    await ping(writer);
    proxy.dropReplies(isCommit);
    const { error, ms } = await failureOf(writer.write(testCall(), (run) => run(MERGE)));
    expect(error.code).toBe("unknown_outcome");
    expect(ms).toBeLessThan(HANGS_MS);
  });

  it("says that the outcome is unknown when the server goes away in a commit", async () => {
    const writer = throughProxy();
    await ping(writer);
    const goAway = (chunk: Buffer, from: string) => {
      if (!isCommit(chunk, from)) return false;
      void proxy.down();
      return true;
    };
    proxy.dropReplies(goAway, { close: true });
    const { error } = await failureOf(writer.write(testCall(), (run) => run(MERGE)));
    expect(error.code).toBe("unknown_outcome");
  });

  it("does not call a write unknown that never came to its commit", async () => {
    const writer = throughProxy();
    await ping(writer);
    proxy.timeout();
    expect((await failureOf(writer.write(testCall(), (run) => run(MERGE)))).error.code).toBe("unreachable");
  });

  it("streams with back-pressure and can be left early", async () => {
    const streaming = open({}, { queryMs: 10_000 });
    let rows = 0;
    for await (const _ of streaming.stream(testCall(), "UNWIND range(1, 5000) AS x RETURN x")) rows++;
    expect(rows).toBe(5_000);
    for await (const _ of streaming.stream(testCall(), "UNWIND range(1, 100000000) AS x RETURN x")) break;
    expect(await ping(streaming)).toEqual([{ one: 1 }]);
  });
});

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}
