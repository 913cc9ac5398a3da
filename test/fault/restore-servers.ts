/** Servers that go away in the middle of a restore, and come back. */
import { chmodSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { startPostgres } from "../../scripts/services/postgres.ts";
import { startRedis } from "../../scripts/services/redis.ts";
import { type Ran, until } from "../support/cli.ts";
import { GO, waiting } from "./restore-cases.ts";
import {
  checkQuiet,
  digests,
  lastRestore,
  leftBehind,
  makeScene,
  type RestoreScene,
  restored,
  startRestore,
} from "./restore-scene.ts";
import { postgresStore, redisStore, sqliteStore } from "./restore-stores.ts";

/** Nobody waits long for a server that is silent. */
const SHORT = { OPSCTL_CONNECT_TIMEOUT: "2s", OPSCTL_BACKUP_STALL: "2s", OPSCTL_QUERY_TIMEOUT: "3s" };
const BYTES = 200 * 1024;

/** A server of the test's own, which can be ended and started again. */
interface Server {
  /** Processes of it. */
  pids(): number[];
  signal(signal: NodeJS.Signals): void;
  /** Ends it without a word to anybody, and waits until it is gone. */
  crash(): Promise<void>;
  start(): Promise<void>;
}

export interface Servers {
  scene: RestoreScene;
  postgres: Server;
  redis: Server;
}

export async function makeServers(): Promise<Servers> {
  let postgres!: Server;
  let redis!: Server;
  const scene = await makeScene(async (box) => {
    const dirs = { postgres: join(box.dir, "postgres"), redis: join(box.dir, "redis") };
    // PostgreSQL does not run as root
    chmodSync(box.dir, 0o711);
    let cluster = await startPostgres({ dir: dirs.postgres, fsync: false });
    const { url, port, password } = cluster;
    postgres = server(
      () => cluster.pid,
      "SIGQUIT",
      async () => {
        cluster = await startPostgres({ dir: dirs.postgres, fsync: false, port, password });
      },
    );
    const args = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0"];
    let store = await startRedis({ dir: dirs.redis, args });
    const { port: redisPort, password: redisPassword } = store;
    redis = server(
      () => store.pid,
      "SIGKILL",
      async () => {
        store = await startRedis({ dir: dirs.redis, args, port: redisPort, password: redisPassword });
      },
    );
    return [
      await postgresStore(BYTES, { url, drop: () => cluster.stop() }),
      await redisStore({ url: store.url, stop: () => store.stop() }, 500),
      await sqliteStore(box, BYTES),
    ];
  });
  return { scene, postgres, redis };
}

function server(pid: () => number, end: NodeJS.Signals, start: () => Promise<void>): Server {
  const pids = () => [pid(), ...childrenOf(pid())];
  return {
    pids,
    signal: (signal) => pids().forEach((one) => void process.kill(one, signal)),
    async crash() {
      const all = pids();
      process.kill(pid(), end);
      await until("the server is gone", () => all.every((one) => !isThere(one)));
    },
    start,
  };
}

/** Processes whose parent this is. */
function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && statusOf(Number(name))[1] === String(parent))
    .map(Number);
}

/** State and parent of a process; empty when there is none. */
function statusOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)!.split(" ");
  } catch {
    return [];
  }
}

const isThere = (pid: number) => (statusOf(pid)[0] ?? "Z") !== "Z";

type Case = (servers: Servers) => Promise<void>;
type Which = "postgres" | "redis";
type Way = "--resume" | "--abort";

/** Something happens when everything is prepared, and is over when the restore has ended. */
const whenPrepared =
  (act: (servers: Servers) => Promise<void>, end: (servers: Servers) => Promise<void>, way: Way): Case =>
  async (servers) => {
    const { scene } = servers;
    const run = await waiting(scene, SHORT);
    let ran: Ran;
    try {
      await act(servers);
      run.go();
      ran = await run.ended;
    } finally {
      run.close();
      await end(servers);
    }
    await recover(scene, ran, way);
  };

/** The server ends while the restore prepares. */
const whilePreparing =
  (which: Which, way: Way): Case =>
  async (servers) => {
    const { scene } = servers;
    const before = lastRestore(scene)?.id;
    const { ended } = startRestore(scene, GO, SHORT);
    let isOver = false;
    void ended.finally(() => {
      isOver = true;
    });
    await until("the restore has begun", () => isOver || lastRestore(scene)?.id !== before);
    await servers[which].crash();
    const ran = await ended;
    await servers[which].start();
    await recover(scene, ran, way);
  };

/** What was said is so; what is not over is brought to its end. */
async function recover(scene: RestoreScene, ran: Ran, way: Way): Promise<void> {
  checkQuiet(scene, ran);
  const state = lastRestore(scene)!.state;
  if (ran.code === 0) expect(state).toBe("done");
  else {
    expect([1, 20, 22, 24], ran.stderr).toContain(ran.code);
    expect(ran.stderr).toMatch(/^Try: ./m);
    if (state === "undone") expect(ran.stderr).toMatch(/not touched|as it was/);
    else expect(ran.stderr).toMatch(/^Try: .*--(abort|resume)/m);
  }
  if (state !== "done" && state !== "undone") await restored(scene, way, "--yes");
  const now = lastRestore(scene)!.state;
  expect(await digests(scene), `${now}: ${ran.stderr}`).toEqual(now === "done" ? scene.saved : scene.old);
  if (now === "done") await restored(scene, "--rollback", "--yes");
  expect(await digests(scene)).toEqual(scene.old);
  expect(await leftBehind(scene)).toEqual([]);
}

const crash = (which: Which) => (servers: Servers) => servers[which].crash();
const start = (which: Which) => (servers: Servers) => servers[which].start();
const freeze = (which: Which) => async (servers: Servers) => servers[which].signal("SIGSTOP");
const thaw = (which: Which) => async (servers: Servers) => servers[which].signal("SIGCONT");
const restart = (which: Which) => async (servers: Servers) => {
  await servers[which].crash();
  await servers[which].start();
};
const nothing = async () => {};

/** All, by name. */
export const SERVER_CASES = {
  "PostgreSQL ends while it is loaded, then --abort": whilePreparing("postgres", "--abort"),
  "PostgreSQL ends while it is loaded, then --resume": whilePreparing("postgres", "--resume"),
  "Redis ends while others are loaded": whilePreparing("redis", "--abort"),
  "PostgreSQL restarts before the swap": whenPrepared(restart("postgres"), nothing, "--abort"),
  "Redis restarts before the swap": whenPrepared(restart("redis"), nothing, "--abort"),
  "PostgreSQL ends before the swap, then --abort": whenPrepared(
    crash("postgres"),
    start("postgres"),
    "--abort",
  ),
  "PostgreSQL ends before the swap, then --resume": whenPrepared(
    crash("postgres"),
    start("postgres"),
    "--resume",
  ),
  "Redis ends before the swap, then --abort": whenPrepared(crash("redis"), start("redis"), "--abort"),
  "Redis ends before the swap, then --resume": whenPrepared(crash("redis"), start("redis"), "--resume"),
  "PostgreSQL is frozen before the swap": whenPrepared(freeze("postgres"), thaw("postgres"), "--abort"),
  "Redis is frozen before the swap": whenPrepared(freeze("redis"), thaw("redis"), "--resume"),
} satisfies Record<string, Case>;
