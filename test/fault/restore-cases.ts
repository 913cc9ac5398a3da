/** What goes wrong in a restore at a moment that is chosen: hooks, other runs, servers, and the state file. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect } from "vitest";
import { askPostgres } from "../support/backup.ts";
import { type Ran, until } from "../support/cli.ts";
import { changed } from "./backup-scene.ts";
import {
  checkQuiet,
  checkRefused,
  digests,
  lastRestore,
  leftBehind,
  NAME,
  type RestoreScene,
  restore,
  restored,
  settled,
  startRestore,
} from "./restore-scene.ts";
import { withWriters } from "./restore-writers.ts";

/** Begins and ends with the old data, and nothing beside them. */
export type Case = (scene: RestoreScene) => Promise<void>;

export const GO = [NAME, "--yes"];

/** A command of the operator, as a setting holds it. */
function command({ box }: RestoreScene, name: string, script: string): string {
  const path = join(box.dir, name);
  writeFileSync(path, script);
  return `sh ${path}`;
}

const stopHook = (scene: RestoreScene, script: string) => ({
  OPSCTL_RESTORE_STOP: command(scene, "stop.sh", script),
});

/** What a start command leaves when it runs. */
const startHook = (scene: RestoreScene) => ({
  OPSCTL_RESTORE_START: command(scene, "start.sh", `echo started >> ${join(scene.box.dir, "started")}\n`),
});

function starts({ box }: RestoreScene): boolean {
  const path = join(box.dir, "started");
  const ran = existsSync(path);
  rmSync(path, { force: true });
  return ran;
}

/** A restore that waits in its stop command, everything prepared, until `go` is called. */
export async function waiting(scene: RestoreScene, more = {}) {
  const [reached, gate] = [join(scene.box.dir, "reached"), join(scene.box.dir, "gate")];
  const script = `touch ${reached}\nwhile [ ! -e ${gate} ]; do sleep 0.02; done\n`;
  const run = startRestore(scene, GO, { ...stopHook(scene, script), ...more });
  let isOver = false;
  void run.ended.finally(() => {
    isOver = true;
  });
  await until("the restore is prepared", () => isOver || existsSync(reached));
  expect(isOver, isOver ? (await run.ended).stderr : "").toBe(false);
  return {
    ...run,
    go() {
      rmSync(reached);
      writeFileSync(gate, "");
    },
    close: () => rmSync(gate, { force: true }),
  };
}

/** A restore whose stop command kills it. */
function killedInStop(scene: RestoreScene): Promise<Ran> {
  return startRestore(scene, GO, stopHook(scene, "kill -9 $PPID\n")).ended;
}

/** A restore that is killed between its parts: SQLite is locked by somebody, and the others are live. */
async function killedBetween(scene: RestoreScene): Promise<void> {
  const writer = new Database(scene.box.db);
  writer.exec("BEGIN IMMEDIATE");
  try {
    const { child, ended } = startRestore(scene, GO);
    let isOver = false;
    void ended.finally(() => {
      isOver = true;
    });
    const stateOf = (engine: string) =>
      lastRestore(scene)?.parts.find((part) => part.engine === engine)?.state;
    await until(
      "all but SQLite are swapped",
      () =>
        isOver ||
        (stateOf("sqlite") === "swapping" &&
          stateOf("postgres") === "swapped" &&
          stateOf("redis") === "swapped"),
    );
    expect(isOver, isOver ? (await ended).stderr : "").toBe(false);
    child.kill("SIGKILL");
    await ended;
  } finally {
    writer.exec("ROLLBACK");
    writer.close();
  }
  await settled(scene);
}

/** Killed before anything was swapped: nobody who wrote meanwhile lost a row. */
const writersBefore: Case = (scene) =>
  withWriters(scene, async () => {
    const ran = await killedInStop(scene);
    expect(ran.signal, ran.stderr).toBe("SIGKILL");
    await settled(scene);
    await restored(scene, "--abort", "--yes");
  });

/** What fails in the swap of PostgreSQL costs nobody a row. */
const writersOfOthers: Case = (scene) =>
  withWriters(scene, async () => {
    const first = await waiting(scene);
    try {
      await dropBeside(scene, lastRestore(scene)!.id);
      first.go();
      checkRefused(scene, await first.ended, 1, /as it was/);
    } finally {
      first.close();
    }
  });

const hookFails: Case = async (scene) => {
  const ran = await restore(scene, GO, { ...stopHook(scene, "echo no >&2\nexit 7\n"), ...startHook(scene) });
  checkRefused(scene, ran, 1, /OPSCTL_RESTORE_STOP.*not touched/s);
  expect(starts(scene), "the start command ran").toBe(true);
};

const hookFailsAfterwards: Case = async (scene) => {
  const ran = await restore(scene, GO, { OPSCTL_RESTORE_START: command(scene, "start.sh", "exit 7\n") });
  // the data are live; what did not start is said
  expect(ran.stderr).toContain("OPSCTL_RESTORE_START");
  expect(ran.code, ran.stderr).toBe(3);
  expect(await digests(scene)).toEqual(scene.saved);
  await restored(scene, "--rollback", "--yes");
};

const killedByHook =
  (way: "--resume" | "--abort"): Case =>
  async (scene) => {
    const ran = await killedInStop(scene);
    expect(ran.signal).toBe("SIGKILL");
    await settled(scene);
    expect(lastRestore(scene)?.state).toBe("preparing");
    expect(await digests(scene)).toEqual(scene.old);
    await restored(scene, way, "--yes");
    if (way === "--abort") return;
    expect(await digests(scene)).toEqual(scene.saved);
    await restored(scene, "--rollback", "--yes");
  };

const killedBetweenParts =
  (way: "--resume" | "--abort"): Case =>
  async (scene) => {
    await killedBetween(scene);
    const { old, saved, stores } = scene;
    const half = stores.map(({ engine }, n) => (engine === "sqlite" ? old[n] : saved[n]));
    expect(await digests(scene)).toEqual(half);
    await restored(scene, way, "--yes");
    if (way === "--abort") return;
    expect(await digests(scene)).toEqual(saved);
    await restored(scene, "--rollback", "--yes");
  };

const unfinished: Case = async (scene) => {
  await killedInStop(scene);
  await settled(scene);
  const { id } = lastRestore(scene)!;
  const refused = await restore(scene, GO);
  checkRefused(scene, refused, 1, new RegExp(id));
  expect(refused.stderr).toMatch(/^Try: .*--resume.*--abort/m);
  checkRefused(scene, await restore(scene, ["--rollback", "--yes"]), 1, new RegExp(id));
  const listed = await restored(scene);
  expect(listed.stderr).toMatch(new RegExp(`${id}.*is not over`));
  expect(lastRestore(scene)).toMatchObject({ id, state: "preparing" });
  // what was never swapped can be given up, too
  await restored(scene, "--forget", "--yes");
  expect(lastRestore(scene)).toMatchObject({ id, state: "forgotten" });
};

/** What is not there to go back to is found before anything goes back; and when it is there again, everything does. */
const wayBackIsGone =
  (take: (scene: RestoreScene) => Promise<() => Promise<void>>, code: number): Case =>
  async (scene) => {
    await restored(scene, ...GO);
    const giveBack = await take(scene);
    checkRefused(scene, await restore(scene, ["--rollback", "--yes"]), code, /./);
    expect(await digests(scene)).toEqual(scene.saved);
    expect(lastRestore(scene)).toMatchObject({ state: "done" });
    await giveBack();
    await restored(scene, "--rollback", "--yes");
  };

/** A bit of the copy that Redis and SQLite would be restored from. */
const damagedCopy = wayBackIsGone(async (scene) => {
  const { folder } = lastRestore(scene)!;
  const path = join(folder, readdirSync(folder).find((name) => name.endsWith(".tar.zst"))!);
  const whole = readFileSync(path);
  const damaged = Buffer.from(whole);
  damaged[damaged.length >> 1]! ^= 1;
  writeFileSync(path, damaged);
  return async () => writeFileSync(path, whole);
}, 23);

/** The database that was kept: an operator who makes room. */
const lostDatabase = wayBackIsGone(async ({ env }) => {
  const url = new URL(env["DATABASE_URL"]!);
  const name = url.pathname.slice(1);
  url.pathname = "/postgres";
  const old = `SELECT datname FROM pg_database WHERE datname LIKE '${name}\\_\\_opsctl\\_old\\_%'`;
  const [row] = await askPostgres(url.href, old);
  const kept = row!["datname"];
  await askPostgres(url.href, `ALTER DATABASE "${kept}" RENAME TO "${kept}_away"`);
  return async () => {
    await askPostgres(url.href, `ALTER DATABASE "${kept}_away" RENAME TO "${kept}"`);
  };
}, 1);

/** Whoever wants the last restore undone does not mean the one before it. */
const olderRestore: Case = async (scene) => {
  await restored(scene, ...GO);
  const { id } = lastRestore(scene)!;
  checkRefused(scene, await restore(scene, GO, stopHook(scene, "exit 7\n")), 1, /not touched/);
  checkRefused(scene, await restore(scene, ["--rollback", "--yes"]), 25, /undone already/);
  expect(await digests(scene)).toEqual(scene.saved);
  await restored(scene, "--rollback", id, "--yes");
};

const twoRestores: Case = async (scene) => {
  const first = await waiting(scene);
  try {
    checkRefused(scene, await restore(scene, GO), 22, new RegExp(String(first.child.pid)));
    for (const way of ["--abort", "--resume", "--rollback", "--forget"])
      checkRefused(scene, await restore(scene, [way, "--yes"]), 22, new RegExp(String(first.child.pid)));
    first.go();
    const ran = await first.ended;
    expect(ran.code, ran.stderr).toBe(0);
  } finally {
    first.close();
  }
  expect(await digests(scene)).toEqual(scene.saved);
  await restored(scene, "--rollback", "--yes");
};

const backupMeanwhile: Case = async (scene) => {
  const { box, env } = scene;
  const first = await waiting(scene);
  try {
    const ran = await box.run(["backup", "sqlite", "--name", "meanwhile"], { env });
    checkRefused(scene, ran, 22, new RegExp(String(first.child.pid)));
    // whoever only reads is not held up
    expect(await box.run(["backup", "list"], { env })).toMatchObject({ code: 0 });
    first.go();
    await first.ended;
  } finally {
    first.close();
  }
  await restored(scene, "--rollback", "--yes");
};

const duringBackup: Case = async (scene) => {
  const { box, env } = scene;
  const [reached, gate] = [join(box.dir, "reached"), join(box.dir, "gate")];
  const script = `touch ${reached}\nwhile [ ! -e ${gate} ]; do sleep 0.02; done\n`;
  const before = { OPSCTL_BACKUP_BEFORE: command(scene, "before.sh", script) };
  const running = box.run(["backup", "sqlite", "--name", "running"], { env: { ...env, ...before } });
  try {
    await until("the backup is at work", () => existsSync(reached));
    checkRefused(scene, await restore(scene, GO), 22, /lock/);
  } finally {
    writeFileSync(gate, "");
  }
  expect(await running).toMatchObject({ code: 0 });
  for (const path of [reached, gate]) rmSync(path);
};

const rollbackOnce: Case = async (scene) => {
  await restored(scene, ...GO);
  await restored(scene, "--rollback", "--yes");
  expect(await digests(scene)).toEqual(scene.old);
  const again = await restore(scene, ["--rollback", "--yes"]);
  expect([1, 2, 25], again.stderr).toContain(again.code);
  expect(again.stderr).toMatch(/^Try: ./m);
};

const forgotten: Case = async (scene) => {
  await restored(scene, ...GO);
  await restored(scene, "--forget", "--yes");
  expect(await leftBehind(scene)).toEqual([]);
  const ran = await restore(scene, ["--rollback", "--yes"]);
  expect([1, 2, 25], ran.stderr).toContain(ran.code);
  expect(await digests(scene)).toEqual(scene.saved);
  // for whoever comes next
  for (const store of scene.stores) await store.change();
};

const signalled =
  (signal: "SIGINT" | "SIGTERM", code: number): Case =>
  async (scene) => {
    const first = await waiting(scene, startHook(scene));
    first.child.kill(signal);
    const ran = await first.ended;
    first.close();
    rmSync(join(scene.box.dir, "reached"), { force: true });
    expect(ran.code, ran.stderr).toBe(code);
    expect(ran.stderr).toMatch(/not touched|as it was/);
    checkQuiet(scene, ran);
    expect(starts(scene), "the start command ran").toBe(true);
  };

/** One part cannot be swapped: those that were go back. */
const swapFails: Case = async (scene) => {
  const first = await waiting(scene, startHook(scene));
  try {
    await dropBeside(scene, lastRestore(scene)!.id);
    first.go();
    const ran = await first.ended;
    checkRefused(scene, ran, 1, /as it was/);
    expect(starts(scene), "the start command ran").toBe(true);
  } finally {
    first.close();
  }
};

const away =
  (env: (scene: RestoreScene) => Record<string, string>, code: number): Case =>
  async (scene) => {
    const ran = await restore(scene, GO, { OPSCTL_CONNECT_TIMEOUT: "1s", ...env(scene) });
    checkRefused(scene, ran, code, /postgres|redis/i);
  };

/** The database that the last restore loaded and did not swap; there must be one. */
async function dropBeside({ env }: RestoreScene, id = ""): Promise<void> {
  const url = new URL(env["DATABASE_URL"]!);
  const name = url.pathname.slice(1);
  url.pathname = "/postgres";
  const beside = `SELECT datname FROM pg_database WHERE datname LIKE '${name}\\_\\_opsctl\\_%${id}'`;
  const [row] = await askPostgres(url.href, beside);
  await askPostgres(url.href, `DROP DATABASE "${row!["datname"]}" WITH (FORCE)`);
}

/** The journal is gone with the state file: the data are old or new, it is said what is known, and the next restore works. */
const stateLost: Case = async (scene) => {
  const { box } = scene;
  await killedInStop(scene);
  await settled(scene);
  for (const name of readdirSync(box.dir).filter((name) => name.startsWith("state.db")))
    rmSync(join(box.dir, name));
  for (const way of ["--resume", "--abort", "--rollback"]) {
    const ran = await restore(scene, [way, "--yes"]);
    expect([1, 2, 25], ran.stderr).toContain(ran.code);
    expect(ran.stderr).toMatch(/^Try: ./m);
  }
  // what was loaded beside the live database belongs to nobody any more
  await dropBeside(scene);
  // the digest was in the catalogue, which was in there, too
  const strange = await restore(scene, GO);
  checkRefused(scene, strange, 2, /--trust-archive/);
  await restored(scene, ...GO, "--trust-archive");
  expect(await digests(scene)).toEqual(scene.saved);
  await restored(scene, "--rollback", "--yes");
};

const folderLost: Case = async (scene) => {
  await killedInStop(scene);
  await settled(scene);
  const { folder } = lastRestore(scene)!;
  rmSync(folder, { recursive: true });
  const ran = await restore(scene, ["--resume", "--yes"]);
  expect(ran.code, ran.stderr).not.toBeNull();
  checkQuiet(scene, ran);
  // either it was staged again, or there is a way back
  if (ran.code === 0) {
    expect(await digests(scene)).toEqual(scene.saved);
    await restored(scene, "--rollback", "--yes");
    return;
  }
  expect(await digests(scene)).toEqual(scene.old);
  if (lastRestore(scene)?.state !== "undone") await restored(scene, "--abort", "--yes");
};

/** All, by name. */
export const CASES = {
  "the stop command fails: nothing is touched, and what was stopped is started": hookFails,
  "the start command fails: the data are live, and it is said": hookFailsAfterwards,
  "killed in the stop command, and resumed": killedByHook("--resume"),
  "killed in the stop command, and aborted": killedByHook("--abort"),
  "killed between the swaps of two engines, and resumed": killedBetweenParts("--resume"),
  "killed between the swaps of two engines, and aborted": killedBetweenParts("--abort"),
  "one that is not over: another is refused, with the two ways out": unfinished,
  "a copy that is damaged: nothing goes back": damagedCopy,
  "a kept database that is gone: nothing goes back": lostDatabase,
  "the last one was undone: the one before it is not taken for it": olderRestore,
  "two restores at once": twoRestores,
  "a backup while a restore runs": backupMeanwhile,
  "a restore while a backup runs": duringBackup,
  "it goes back once": rollbackOnce,
  "forgotten: there is no way back, and nothing beside the data": forgotten,
  "SIGINT when everything is prepared": signalled("SIGINT", 130),
  "SIGTERM when everything is prepared": signalled("SIGTERM", 143),
  "a part that cannot be swapped: the others go back": swapFails,
  "killed before the swap, with writers: nothing that was acknowledged is lost": writersBefore,
  "a part that cannot be swapped, with writers: the same": writersOfOthers,
  "a closed port of PostgreSQL": away(
    ({ env }) => ({ DATABASE_URL: changed(env["DATABASE_URL"]!, { host: "127.0.0.1:1" }) }),
    20,
  ),
  "a closed port of Redis": away(
    ({ env }) => ({ REDIS_URL: changed(env["REDIS_URL"]!, { host: "127.0.0.1:1" }) }),
    20,
  ),
  "a wrong password of PostgreSQL": away(
    ({ env }) => ({ DATABASE_URL: changed(env["DATABASE_URL"]!, { password: "wrong" }) }),
    21,
  ),
  "a wrong password of Redis": away(
    ({ env }) => ({ REDIS_URL: changed(env["REDIS_URL"]!, { password: "wrong" }) }),
    21,
  ),
  "the folder of the restore is lost in between": folderLost,
  // the last: the catalogue is lost with it
  "the state file is lost in between": stateLost,
} satisfies Record<string, Case>;

/** Runs one: afterwards the old data are live again, and nothing is beside them. */
export async function check(scene: RestoreScene, name: keyof typeof CASES): Promise<void> {
  await CASES[name](scene);
  expect(await digests(scene)).toEqual(scene.old);
  expect(await leftBehind(scene)).toEqual([]);
}
