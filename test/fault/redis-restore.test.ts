import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startRedis } from "../../scripts/services/redis.ts";
import { createCall } from "../../src/call.ts";
import { OpsError } from "../../src/errors.ts";
import {
  backUp,
  client,
  contents,
  fill,
  type Made,
  QUICK,
  workFolder,
} from "../integration/redis-backup-kit.ts";
import { failureOf, restored, restoreOf, withPart } from "../integration/redis-restore-kit.ts";
import { until } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";

/** A load that can be met in its middle. */
const SLOW = ["--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024"];
const CHILD = join(import.meta.dirname, "redis-restore-child.ts");
const work = workFolder();
let source: OwnRedis;
let target: OwnRedis;
let made: Made;
let whole: Awaited<ReturnType<typeof contents>>;
let old: Awaited<ReturnType<typeof contents>>;

beforeAll(async () => {
  source = await ownRedis(QUICK);
  target = await ownRedis([...QUICK, ...SLOW, "--maxmemory", "500mb", "--maxmemory-policy", "allkeys-lru"]);
  await fill(source.url, 2_000);
  // more than what is on its way between two processes
  await client(source.url, async (client) => {
    for (let index = 0; index < 16; index++) await client.set(`noise:${index}`, randomBytes(1 << 20));
  });
  made = await backUp(source.url, "psync", work.fresh());
  whole = await contents(source.url);
});
afterAll(async () => {
  await source?.stop();
  await target?.stop();
  work.remove();
});
beforeEach(async () => {
  await client(target.url, (client) =>
    client.multi().config("SET", "key-load-delay", "2000").flushall().set("old", "1").exec(),
  );
  old = await contents(target.url);
});

const loads = (url: string) =>
  until("it loads", () => client(url, async (client) => (await client.info()).includes("async_loading:1")));
const quick = (url: string) => client(url, (client) => client.config("SET", "key-load-delay", "0"));

/** It has what it had, takes writes, and is configured as it was. */
async function expectAsBefore(url: string) {
  await client(url, async (client) => {
    expect(await client.info("replication")).toContain("role:master");
    expect(await client.config("GET", "repl-diskless-load")).toEqual(["repl-diskless-load", "disabled"]);
    expect(await client.config("GET", "masterauth")).toEqual(["masterauth", ""]);
    expect(await client.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "allkeys-lru"]);
    await client.set("written", "1");
    await client.del("written");
  });
  expect(await contents(url)).toEqual(old);
}

async function killed(child: ChildProcess) {
  child.kill("SIGKILL");
  await once(child, "exit");
}

test("readers see the old data, then the new, and are never refused", async () => {
  const seen = new Set<string | null>();
  const reader = new Redis(target.url);
  let isOn = true;
  const reading = (async () => {
    while (isOn) seen.add(await reader.get("old"));
  })();
  const restoring = restored(target.url, work.fresh(), { made, path: made.path, method: "replica" });
  await loads(target.url);
  await quick(target.url);
  const { swapped, found } = await restoring;
  isOn = false;
  await reading;
  reader.disconnect();
  expect([...seen]).toEqual(["1", null]);
  expect(swapped.how).toContain("reads were answered meanwhile");
  expect(found.problems).toEqual([]);
  expect(await contents(target.url)).toEqual(whole);
});

test("what is aborted in the middle of a load leaves the server as it was", async () => {
  const aborting = new AbortController();
  const call = createCall({ actor: "tester@host", signal: aborting.signal });
  const restore = restoreOf(target.url, work.fresh(), { made, path: made.path });
  await withPart(
    restore,
    async (part) => {
      await part.prepare(call);
      const swapping = failureOf(part.swap(call));
      await loads(target.url);
      aborting.abort(new OpsError({ code: "interrupted", message: "interrupted" }));
      expect((await swapping).code).toBe("interrupted");
    },
    call,
  );
  await expectAsBefore(target.url);
  expect(restore.saved()).not.toHaveProperty("master_port");
});

test("after kill -9 in the middle of a load another process brings it back", async () => {
  const folder = work.fresh();
  const child = spawn(process.execPath, [CHILD, "restore", target.url, folder, made.path, "replica"]);
  await loads(target.url);
  await killed(child);
  const saved = JSON.parse(readFileSync(join(folder, "saved.json"), "utf8"));
  expect(saved).toMatchObject({ phase: "loading", "was masterauth": "" });
  await quick(target.url);
  const restore = restoreOf(target.url, folder, { made, path: made.path, saved });
  await withPart(restore, async (part, call) => {
    await part.plan(call);
    await part.abandon(call);
  });
  await expectAsBefore(target.url);
});

test("a server that freezes in the middle is given up, and brought back later", async () => {
  const limits = { connectMs: 500, queryMs: 1_000, poolSize: 1 };
  const restore = restoreOf(target.url, work.fresh(), { made, path: made.path, limits });
  await withPart(restore, async (part, call) => {
    await part.prepare(call);
    const swapping = failureOf(part.swap(call));
    await loads(target.url);
    process.kill(target.pid, "SIGSTOP");
    try {
      expect(await swapping).toMatchObject({
        code: "unreachable",
        message: expect.stringContaining("may still be a replica"),
      });
    } finally {
      process.kill(target.pid, "SIGCONT");
    }
  });
  await withPart(restore, (part, call) => part.abandon(call));
  await expectAsBefore(target.url);
});

test("a server that is killed in the middle has what it had", async () => {
  const dir = work.fresh();
  const args = [...QUICK, "--appendonly", "yes"];
  let server = await startRedis({ dir, args: [...args, ...SLOW] });
  try {
    await client(server.url, (client) => client.set("old", "1"));
    const restore = restoreOf(server.url, work.fresh(), { made, path: made.path });
    await withPart(restore, async (part, call) => {
      await part.prepare(call);
      const swapping = failureOf(part.swap(call));
      await loads(server.url);
      process.kill(server.pid, "SIGKILL");
      expect(["unreachable", "unknown_outcome"]).toContain((await swapping).code);
    });
    await server.stop();
    server = await startRedis({ dir, args });
    await client(server.url, async (client) => expect(await client.keys("*")).toEqual(["old"]));
  } finally {
    await server.stop();
  }
});

test("who does not know the word gets nothing from the port", async () => {
  const answers: string[] = [];
  const restore = restoreOf(target.url, work.fresh(), {
    made,
    path: made.path,
    onSave: async ({ master_port: port }) => {
      if (port === undefined || answers.length > 0) return;
      for (const text of [
        "PSYNC ? -1\r\n",
        "AUTH guess\r\nPSYNC ? -1\r\n",
        `*1\r\n$99999\r\n`,
        "x".repeat(20_000),
      ])
        answers.push(await answerTo(Number(port), text));
      await quick(target.url);
    },
  });
  await withPart(restore, async (part, call) => {
    await part.prepare(call);
    await part.swap(call);
  });
  expect(answers).toEqual(["-NOAUTH Authentication required.\r\n", "-WRONGPASS it is not that\r\n", "", ""]);
  expect(await contents(target.url)).toEqual(whole);
});

/** What comes back until the other side closes, or an answer has come. */
function answerTo(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port }, () => socket.write(text));
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
      socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}
