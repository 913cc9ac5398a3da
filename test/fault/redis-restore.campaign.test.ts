import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
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

const KILLS = 10;
const CHILD = join(import.meta.dirname, "redis-restore-child.ts");
const work = workFolder();
let source: OwnRedis;
let target: OwnRedis;
let made: Made;
let whole: Awaited<ReturnType<typeof contents>>;

beforeAll(async () => {
  source = await ownRedis(QUICK);
  target = await ownRedis([...QUICK, "--appendonly", "yes", "--maxmemory", "1gb"]);
  await client(target.url, (client) => client.config("SET", "maxmemory-policy", "allkeys-lru"));
  await fill(source.url, 200_000);
  made = await backUp(source.url, "psync", work.fresh());
  whole = await contents(source.url);
});
afterAll(async () => {
  await source?.stop();
  await target?.stop();
  work.remove();
});

async function killed(child: ChildProcess) {
  // it may have come to its end before
  if (child.exitCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** A number between 0 and 1 that is the same in each run. */
function nth(index: number): number {
  return (index * 0.618_034) % 1;
}

test.each(["replica", "commands"] as const)(
  "kill -9 at any point of a restore by %s: all old, all new, or done again",
  async (method) => {
    const counted = { old: 0, new: 0, between: 0 };
    for (let index = 0; index < KILLS; index++) {
      await client(target.url, (client) => client.multi().flushall().set("old", "1").exec());
      const old = await contents(target.url);
      const folder = work.fresh();
      const child = spawn(process.execPath, [CHILD, "restore", target.url, folder, made.path, method]);
      const path = join(folder, "saved.json");
      await until("it begins", () => existsSync(path));
      // as far into it as it takes about as long
      await new Promise((resolve) => setTimeout(resolve, nth(index) * 4_000));
      await killed(child);
      const saved = JSON.parse(readFileSync(path, "utf8"));
      const restore = restoreOf(target.url, folder, { made, path: made.path, method, saved });
      await withPart(restore, (part, call) => part.abandon(call));
      const after = await contents(target.url);
      if (JSON.stringify(after) === JSON.stringify(old)) counted.old++;
      else if (JSON.stringify(after) === JSON.stringify(whole)) counted.new++;
      else counted.between++;
      // it takes writes again, and keeps its policy
      await client(target.url, async (client) => {
        await client.set("written", "1");
        expect(await client.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "allkeys-lru"]);
      });
      if (restore.saved()["phase"] !== "done") await withPart(restore, (part, call) => part.swap(call));
      await client(target.url, (client) => client.del("written"));
      expect(await contents(target.url)).toEqual(whole);
    }
    // as a master it is never half of it
    if (method === "replica") expect(counted.between).toBe(0);
    expect(counted.old + counted.new + counted.between).toBe(KILLS);
  },
  600_000,
);

test("a server that cannot come to this program is restored by commands, and that is said", async () => {
  const given = { made, path: made.path, listen: "192.0.2.1:7001" };
  const { swapped } = await restored(target.url, work.fresh(), given);
  expect(swapped.how).toMatch(/RESTORE .* because .* did not come to 192\.0\.2\.1:7001/);
  expect(await contents(target.url)).toEqual(whole);
  const asked = failureOf(restored(target.url, work.fresh(), { ...given, method: "replica" }));
  expect(await asked).toMatchObject({ hint: expect.stringContaining("--listen") });
  await client(target.url, async (client) => expect(await client.info()).toContain("role:master"));
}, 120_000);

test("the server of a drill ends with the process that was killed", async () => {
  const folder = work.fresh();
  const slow = join(folder, "redis-server");
  const pid = join(folder, "pid");
  const lines = [
    "#!/bin/sh",
    `[ "$1" = --version ] || echo $$ > ${pid}`,
    'exec redis-server "$@" --key-load-delay 1000',
  ];
  writeFileSync(slow, `${lines.join("\n")}\n`);
  chmodSync(slow, 0o700);
  const child = spawn(process.execPath, [CHILD, "drill", "redis://none", folder, made.path, slow]);
  await until("it loads", () => existsSync(pid) && readFileSync(pid, "utf8") !== "");
  const server = Number(readFileSync(pid, "utf8"));
  expect(existsSync(`/proc/${server}`)).toBe(true);
  await killed(child);
  await until("it is gone", () => !existsSync(`/proc/${server}`));
});
