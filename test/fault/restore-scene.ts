/** A sandbox with stores, an archive of them, and live data that are others: what the fault tests of `restore` begin with. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect } from "vitest";
import { backupsOf, processesOf } from "../support/backup.ts";
import { collect, type Ran, Sandbox, until } from "../support/cli.ts";
import { ownRedis } from "../support/servers.ts";
import { postgresStore, redisStore, type Store, sqliteStore } from "./restore-stores.ts";

/** The archive that is restored. */
export const NAME = "good";

const SMALL = 200 * 1024;

export interface RestoreScene {
  box: Sandbox;
  /** Of archives; works of restores lie there, too. */
  folder: string;
  stores: readonly Store[];
  env: Record<string, string>;
  /** Of each store: what was live before the restore. */
  old: string[];
  /** Of each store: what the archive holds. */
  saved: string[];
  drop(): Promise<void>;
}

/** Saves the stores and changes them. `make` gets the sandbox. */
export async function makeScene(make: (box: Sandbox) => Promise<Store[]>): Promise<RestoreScene> {
  const box = new Sandbox({ shared: true });
  const stores = await make(box);
  const env = Object.assign({}, ...stores.map((store) => store.env)) as Record<string, string>;
  const saved = await digests({ stores });
  const engines = stores.map(({ engine }) => engine);
  await box.ok(["backup", ...engines, "--name", NAME], { env });
  for (const store of stores) await store.change();
  const old = await digests({ stores });
  stores.forEach(({ engine }, n) => {
    expect(old[n], `${engine} was changed`).not.toBe(saved[n]);
  });
  const drop = async () => {
    await Promise.all(stores.map((store) => store.drop()));
    box.remove();
  };
  return { box, folder: backupsOf(box), stores, env, old, saved, drop };
}

/** PostgreSQL, Redis and SQLite, small. */
export function makeThree(): Promise<RestoreScene> {
  return makeScene(async (box) => [
    await postgresStore(SMALL),
    await redisStore(await ownRedis(["--repl-diskless-sync-delay", "0"]), 500),
    await sqliteStore(box, SMALL),
  ]);
}

export async function digests({ stores }: Pick<RestoreScene, "stores">): Promise<string[]> {
  const found: string[] = [];
  for (const store of stores) found.push(await store.digest());
  return found;
}

/** Runs a command of the restore. */
export function restore({ box, env }: RestoreScene, args: readonly string[], more = {}): Promise<Ran> {
  return box.run(["restore", ...args], { env: { ...env, ...more } });
}

/** One that must succeed. */
export async function restored(scene: RestoreScene, ...args: string[]): Promise<Ran> {
  const ran = await restore(scene, args);
  expect(ran.code, `restore ${args.join(" ")}: ${ran.stderr}`).toBe(0);
  return ran;
}

/** Starts one. `ended` comes with its end. */
export function startRestore({ box, env }: RestoreScene, args: readonly string[], more = {}) {
  const child = box.start(["restore", ...args], { env: { ...env, ...more } });
  child.stdin?.end();
  return { child, ended: collect(child) };
}

export interface Journaled {
  id: string;
  state: string;
  folder: string;
  /** `postgres app: swapped`; in the order of the restore. */
  parts: { engine: string; state: string }[];
}

/** The last restore of the journal, read beside opsctl; undefined: none began. */
export function lastRestore({ box }: Pick<RestoreScene, "box">): Journaled | undefined {
  if (!existsSync(box.state)) return undefined;
  const database = new Database(box.state, { timeout: 20_000 });
  try {
    const last = database
      .prepare<[], Journaled>("SELECT id, state, folder FROM opsctl_restores ORDER BY seq DESC LIMIT 1")
      .get();
    const parts = database.prepare<[string], Journaled["parts"][number]>(
      "SELECT engine, state FROM opsctl_restore_parts WHERE restore_id = ? ORDER BY position",
    );
    return last && { ...last, parts: parts.all(last.id) };
  } catch (error) {
    // the first restore makes the tables
    if (/no such table/.test(String(error))) return undefined;
    throw error;
  } finally {
    database.close();
  }
}

/** Everything that restores left which are over: folders, databases beside the live ones, settings, processes. */
export async function leftBehind({ box, folder, stores }: RestoreScene): Promise<string[]> {
  const folders = readdirSync(folder).filter((name) => name.startsWith(".") && !/lock/.test(name));
  const beside = await Promise.all(stores.map((store) => store.leftovers()));
  return [
    ...folders.map((name) => join("backups", name)),
    ...beside.flat(),
    ...processesOf(box).map((p) => p.command),
  ];
}

/** Of a killed run nothing works on. */
export async function settled({ box }: RestoreScene): Promise<void> {
  await until("no process of the run is left", () => processesOf(box).length === 0);
}

/** What holds after every refusal: a code, a message with a way on, no stack, and no password. */
export function checkRefused({ env }: Pick<RestoreScene, "env">, ran: Ran, code: number, says: RegExp): void {
  expect(ran.code, ran.stderr).toBe(code);
  expect(ran.stderr).toMatch(says);
  expect(ran.stderr).toMatch(/^Try: ./m);
  checkQuiet({ env }, ran);
}

/** Neither a stack nor a password is printed. */
export function checkQuiet({ env }: Pick<RestoreScene, "env">, ran: Ran): void {
  expect(ran.stderr).not.toMatch(/\n\s+at /);
  for (const name of ["DATABASE_URL", "REDIS_URL"]) {
    const url = env[name];
    if (url) expect(ran.stderr + ran.stdout).not.toContain(new URL(url).password);
  }
}
