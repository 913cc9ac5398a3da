import { afterAll, beforeAll, expect, test } from "vitest";
import { collect, conforming, Sandbox, until } from "../support/cli.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";

let sandbox: Sandbox;
let redis: OwnRedis;
let proxy: TestProxy;
let env: Record<string, string>;
beforeAll(async () => {
  sandbox = new Sandbox();
  redis = await ownRedis();
  proxy = await startProxy({ target: { host: "127.0.0.1", port: redis.port } });
  env = { REDIS_URL: `redis://:${redis.password}@127.0.0.1:${proxy.port}` };
});
afterAll(async () => {
  await proxy.close();
  await redis.stop();
  sandbox.remove();
});

test("a server that accepts and does not answer yet is asked again until it does", async () => {
  proxy.timeout();
  const child = sandbox.start(["wait", "redis", "--timeout", "50s", "--json"], { env });
  const ended = collect(child);
  await until("it has connected", () => proxy.accepted > 0);
  await proxy.up();
  const { code, stdout } = await ended;
  expect(code).toBe(0);
  expect(conforming("wait", stdout)).toMatchObject({
    ready: true,
    engines: [{ engine: "redis", ready: true, message: null, attempts: expect.any(Number) }],
  });
});

test("at the deadline: 20, with what is missing and what is not", async () => {
  await proxy.up();
  const { code, stdout, stderr } = await sandbox.run(["wait", "--timeout", "1500ms", "--json"], {
    env: { ...env, DATABASE_URL: "postgresql://nobody:secret-in-url@127.0.0.1:1/none" },
  });
  expect(code).toBe(20);
  const answer = conforming("wait", stdout) as {
    ready: boolean;
    engines: { engine: string; ready: boolean }[];
  };
  expect(answer.ready).toBe(false);
  expect(answer.engines.map(({ engine, ready }) => [engine, ready])).toEqual([
    ["postgres", false],
    ["redis", true],
  ]);
  expect(JSON.parse(stderr)).toMatchObject({ code: "unreachable", exit_code: 20 });
  expect(stderr).toMatch(/postgres \(.*ECONNREFUSED/);
  expect(stdout + stderr).not.toContain("secret-in-url");
});
