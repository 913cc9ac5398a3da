/** Servers and programs that fail a backup: before it, and in the middle of their data. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";
import { expect } from "vitest";
import { askPostgres, processesOf } from "../support/backup.ts";
import { collect, until } from "../support/cli.ts";
import {
  before,
  bigRedis,
  changed,
  checkIncomplete,
  checkNothing,
  inTheMiddle,
  type Scene,
  STALL,
  urls,
} from "./backup-scene.ts";

const NOBODY = "127.0.0.1:1";
const SHORT = { OPSCTL_CONNECT_TIMEOUT: "1s", ...STALL };
const LOST = ["unreachable", "failed"];

/** A server that does not answer, as the environment of a run says where it is. */
interface Away {
  engine: "neo4j" | "postgres" | "redis";
  env(scene: Scene): Record<string, string>;
  code: 20 | 21;
}

const CLOSED_POSTGRES: Away = {
  engine: "postgres",
  env: ({ postgres }) => ({ DATABASE_URL: changed(postgres.url, { host: NOBODY }) }),
  code: 20,
};
const CLOSED_REDIS: Away = {
  engine: "redis",
  env: ({ redis }) => ({ REDIS_URL: changed(redis.url, { host: NOBODY }) }),
  code: 20,
};
const CLOSED_NEO4J: Away = {
  engine: "neo4j",
  env: () => ({ NEO4J_URI: `bolt://neo4j:secret@${NOBODY}` }),
  code: 20,
};
const REFUSING_POSTGRES: Away = {
  engine: "postgres",
  env: ({ postgres }) => ({ DATABASE_URL: changed(postgres.url, { password: "wrong" }) }),
  code: 21,
};
const REFUSING_REDIS: Away = {
  engine: "redis",
  env: ({ redis }) => ({ REDIS_URL: changed(redis.url, { password: "wrong" }) }),
  code: 21,
};
const SILENT_POSTGRES: Away = {
  engine: "postgres",
  env: (scene) => {
    scene.postgresProxy.timeout();
    return { DATABASE_URL: urls(scene).DATABASE_URL };
  },
  code: 20,
};

type Case = (scene: Scene) => Promise<void>;

/** Nothing is published. */
const alone =
  ({ engine, env, code }: Away): Case =>
  async (scene) => {
    const ran = await scene.box.run(["backup", engine], { env: { ...SHORT, ...env(scene) } });
    await checkNothing(scene, ran, code);
  };

/** Beside a file that can be saved: the set is incomplete. */
const beside =
  ({ engine, env, code }: Away): Case =>
  async (scene) => {
    const args = ["backup", engine, "sqlite", "--sqlite", scene.file];
    const ran = await scene.box.run(args, { env: { ...SHORT, ...env(scene) } });
    await checkIncomplete(scene, ran, engine, [code === 21 ? "auth" : "unreachable"]);
  };

/** Something happens to a server, or on the way to it, in the middle of its data. */
const amid =
  (engine: "postgres" | "redis", act: (scene: Scene) => unknown): Case =>
  async (scene) => {
    const ran = await inTheMiddle(scene, engine, () => act(scene));
    await checkIncomplete(scene, ran, engine, LOST);
  };

function signalDump({ box }: Scene, signal: NodeJS.Signals): void {
  const dump = processesOf(box).find(({ command }) => /pg_dump\b(?!all)/.test(command));
  process.kill(dump!.pid, signal);
}

const bothAway: Case = async (scene) => {
  const env = { ...SHORT, ...CLOSED_POSTGRES.env(scene), ...CLOSED_REDIS.env(scene) };
  await checkNothing(scene, await scene.box.run(["backup", "postgres", "redis"], { env }), 20);
};

const stoppedRedis: Case = async (scene) => {
  const { box, redis } = scene;
  process.kill(redis.pid, "SIGSTOP");
  try {
    const env = { ...SHORT, REDIS_URL: redis.url };
    await checkNothing(scene, await box.run(["backup", "redis"], { env }), 20);
  } finally {
    process.kill(redis.pid, "SIGCONT");
  }
};

const killedDump: Case = async (scene) => {
  const ran = await inTheMiddle(scene, "postgres", () => signalDump(scene, "SIGKILL"));
  await checkIncomplete(scene, ran, "postgres", ["failed"]);
  expect(ran.stderr).toMatch(/pg_dump .*SIGKILL/);
};

const silentDump: Case = async (scene) => {
  const { box, file } = scene;
  // answers what its version is, and then stops
  const script = '#!/bin/sh\ncase "$*" in *--version*) exec REAL --version ;; esac\nkill -STOP $$\n';
  const { stdout: real } = await box.shell("command -v pg_dump");
  writeFileSync(join(box.cwd, "pg_dump"), script.replace("REAL", real.trim()));
  chmodSync(join(box.cwd, "pg_dump"), 0o755);
  const env = { ...urls(scene), ...STALL, PATH: `${box.cwd}:${process.env["PATH"]}` };
  const ran = await box.run(["backup", "postgres", "sqlite", "--sqlite", file], { env });
  await checkIncomplete(scene, ran, "postgres", LOST);
};

const lockedTable: Case = async (scene) => {
  const { box, postgres } = scene;
  const client = new pg.Client({ connectionString: postgres.url });
  client.on("error", () => {});
  await client.connect();
  await client.query("BEGIN; LOCK TABLE data IN ACCESS EXCLUSIVE MODE");
  const args = ["backup", "postgres", "--name", "patient"];
  const ended = collect(box.start(args, { env: { ...urls(scene), ...STALL } }));
  const waiting =
    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND clock_timestamp() - query_start > '4 seconds'";
  const waits = async () => (await askPostgres(postgres.url, waiting)).length > 0;
  await until("pg_dump waits for the table", waits);
  await client.query("COMMIT");
  await client.end();
  const ran = await ended;
  expect(ran.code, ran.stderr).toBe(0);
};

const timeLimit: Case = async (scene) => {
  scene.postgresProxy.slicer(1_024);
  const args = ["backup", "postgres", "sqlite", "--sqlite", scene.file, "--timeout", "2s"];
  const ran = await scene.box.run(args, { env: urls(scene) });
  await checkNothing(scene, ran, 1);
  expect(ran.stderr).toContain("time limit");
};

/** With more data than the sockets on the way hold. */
const signalRedis =
  (signal: NodeJS.Signals): Case =>
  async (scene) => {
    const redis = await bigRedis();
    const redisProxy = await before(redis.url);
    try {
      const other = { ...scene, redis, redisProxy };
      await amid("redis", () => process.kill(redis.pid, signal))(other);
    } finally {
      if (signal === "SIGSTOP") process.kill(redis.pid, "SIGCONT");
      await redisProxy.close();
      await redis.stop();
    }
  };

/** All that fails a backup, by name. */
export const CASES = {
  "a closed port of PostgreSQL, alone": alone(CLOSED_POSTGRES),
  "a closed port of Redis, alone": alone(CLOSED_REDIS),
  "a closed port of Neo4j, alone": alone(CLOSED_NEO4J),
  "a wrong password of PostgreSQL, alone": alone(REFUSING_POSTGRES),
  "a wrong password of Redis, alone": alone(REFUSING_REDIS),
  "a silent PostgreSQL, alone": alone(SILENT_POSTGRES),
  "a closed port of Neo4j, beside another engine": beside(CLOSED_NEO4J),
  "a wrong password of Redis, beside another engine": beside(REFUSING_REDIS),
  "a silent PostgreSQL, beside another engine": beside(SILENT_POSTGRES),
  "none of two answers": bothAway,
  "a stopped Redis counts as one that is away": stoppedRedis,
  "postgres: the connection is cut": amid("postgres", ({ postgresProxy }) => postgresProxy.down()),
  "redis: the connection is cut": amid("redis", ({ redisProxy }) => redisProxy.down()),
  "postgres: not a byte comes any more": amid("postgres", ({ postgresProxy }) => postgresProxy.timeout()),
  "redis: not a byte comes any more": amid("redis", ({ redisProxy }) => redisProxy.timeout()),
  "postgres: its program is killed": killedDump,
  "postgres: its program is frozen, and ended by the watchdog": amid("postgres", (scene) =>
    signalDump(scene, "SIGSTOP"),
  ),
  "postgres: its program never writes a byte, and is ended by the watchdog": silentDump,
  "postgres: a table that is locked for longer than that is waited for": lockedTable,
  "the time limit of the command passes: nothing is published": timeLimit,
  "redis: its server is frozen": signalRedis("SIGSTOP"),
  "redis: its server is killed": signalRedis("SIGKILL"),
} satisfies Record<string, Case>;
