/** Passwords during a backup: in no argument of any process, no output, no file of the set, no sidecar, no variable of a hook. */
import { chmodSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { backupsOf, fillPostgres, lastArchive, makeSqlite, processesOf, unpack } from "../support/backup.ts";
import { collect, type Ran, Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "../support/servers.ts";

const CANARY = "kanarie-v0gel";
/** Nothing answers there. */
const PING = `http://127.0.0.1:1/${CANARY}`;

const box = new Sandbox();
let postgres: TestDatabase;
let redis: OwnRedis;
let secrets: string[];
let args: string[];

beforeAll(async () => {
  [postgres, redis] = await Promise.all([postgresDatabase(), ownRedis(["--repl-diskless-sync-delay", "0"])]);
  await fillPostgres(postgres.url, 8 * 1024 * 1024);
  const file = makeSqlite(join(box.dir, "app.db"), 100_000);
  secrets = [CANARY, new URL(postgres.url).password, redis.password, "SCRAM-SHA-256$"];
  args = ["backup", "postgres", "redis", "sqlite", "neo4j", "--sqlite", file];
  const values = {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    NEO4J_URI: `bolt://neo4j:${CANARY}@127.0.0.1:1`,
    OPSCTL_PING_START: PING,
    OPSCTL_PING_FAILURE: PING,
    OPSCTL_PING_SUCCESS: PING,
    OBS_AGENT_LOG_LEVEL: "DEBUG",
  };
  const lines = Object.entries(values).map(([name, value]) => `${name} = ${JSON.stringify(value)}\n`);
  chmodSync(box.file("all.toml", `[default]\n${lines.join("")}`), 0o600);
  chmodSync(
    box.file("hook.sh", "#!/bin/sh\nenv >> hook.log\ntr '\\0' ' ' < /proc/$PPID/cmdline >> hook.log\n"),
    0o700,
  );
});
afterAll(async () => {
  await Promise.all([postgres?.drop(), redis?.stop()]);
  box.remove();
});

function expectSilence(text: string, where: string): void {
  for (const secret of secrets)
    expect(text.includes(secret), `${secret.slice(0, 4)}… in ${where}`).toBe(false);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Command lines of all processes of the run, asked for as often as possible. */
async function watched(run: Promise<Ran>): Promise<{ ran: Ran; commands: Set<string> }> {
  const commands = new Set<string>();
  let isOver = false;
  const ended = run.finally(() => {
    isOver = true;
  });
  while (!isOver) {
    for (const { command } of processesOf(box)) commands.add(command);
    await delay(1);
  }
  return { ran: await ended, commands };
}

test.each([[["-v"]], [["-v", "--json"]]])("a backup with %s", async (flags) => {
  const hook = { OPSCTL_BACKUP_BEFORE: "./hook.sh", OPSCTL_BACKUP_AFTER: "./hook.sh" };
  const run = collect(box.start([...args, ...flags, "--config", "all.toml"], { env: hook }));
  const { ran, commands } = await watched(run);
  expect(ran.code, ran.stderr).toBe(3);
  expectSilence(ran.stdout, "stdout");
  expectSilence(ran.stderr, "stderr");
  for (const name of ["pg_dump", "pg_restore"])
    expect(
      [...commands].some((command) => command.includes(name)),
      name,
    ).toBe(true);
  expectSilence([...commands].join("\n"), "ps");

  const archive = lastArchive(backupsOf(box));
  const { folder, metadata } = await unpack(archive, join(box.dir, `unpacked${flags.length}`));
  expect(metadata.parts.map(({ engine, state }) => `${engine} ${state}`)).toContain("neo4j failed");
  for (const path of filesBelow(folder)) expectSilence(readFileSync(path, "latin1"), path);
  for (const path of filesBelow(backupsOf(box))) expectSilence(readFileSync(path, "latin1"), path);
  expectSilence(readFileSync(box.state, "latin1"), "the state file");
  expect(readFileSync(join(box.cwd, "hook.log"), "latin1")).toMatch(/OPSCTL_BACKUP_\w+=.*incomplete/);
  expectSilence(readFileSync(join(box.cwd, "hook.log"), "latin1"), "hook.log");
});

test("archives and sidecars are readable for their owner only", async () => {
  const { stdout } = await box.shell("stat -c '%a %n' backups backups/*");
  expect(stdout.trim().split("\n").length).toBeGreaterThan(2);
  for (const line of stdout.trim().split("\n")) expect(line).toMatch(/^[67]00 /);
});
