/** Ends of `backup` at random points. */
import { mkdirSync, readdirSync, rmSync, watch } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import {
  archivesIn,
  askPostgres,
  backupsOf,
  digest,
  fillPostgres,
  leftoversIn,
  makeSqlite,
  problemsIn,
  processesOf,
  publishedIn,
} from "../support/backup.ts";
import { collect, type Ran, Sandbox, until } from "../support/cli.ts";
import { postgresDatabase } from "../support/servers.ts";

/** About as many changes of its folder are seen during a run. */
const FOLDER_CHANGES = 12;

export interface Subject {
  box: Sandbox;
  folder: string;
  /** `backup` of a PostgreSQL database and a SQLite file. */
  args: string[];
  env: Record<string, string>;
  /** Sessions on its PostgreSQL database. */
  sessions(): Promise<number>;
  drop(): Promise<void>;
}

/** @param bytes of each of the two engines; they hardly compress */
export async function makeSubject(bytes: number): Promise<Subject> {
  const box = new Sandbox({ shared: true });
  const postgres = await postgresDatabase();
  await fillPostgres(postgres.url, bytes);
  const file = makeSqlite(join(box.dir, "app.db"), bytes);
  // what a run puts into the folder for temporary files shows there
  const temporary = join(box.dir, "tmp");
  mkdirSync(temporary);
  const others =
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
  return {
    box,
    folder: backupsOf(box),
    args: ["backup", "postgres", "sqlite", "--sqlite", file, "--no-retention"],
    env: { DATABASE_URL: postgres.url, TMPDIR: temporary },
    sessions: async () => (await askPostgres(postgres.url, others)).length,
    async drop() {
      await postgres.drop();
      box.remove();
    },
  };
}

/** The same without PostgreSQL, so that a run takes a fraction of a second. */
export function withoutServer(subject: Subject): Subject {
  return { ...subject, args: subject.args.filter((arg) => arg !== "postgres") };
}

export interface Tally {
  /** Runs that the signal ended. */
  ended: number;
  /** Runs that were done before. */
  done: number;
  /** Runs whose work lay there afterwards. */
  leftBehind: number;
  /** Runs that had published an archive, whole. */
  published: number;
}

type Signal = "SIGKILL" | "SIGTERM" | "SIGINT";
const CODES = { SIGTERM: 143, SIGINT: 130 };

/**
 * Starts runs until `times` of them were ended by a signal (each in turn), each at a random moment or at a random change in the folder of archives. After
 * each of them only whole archives have names, and the first one is as it was. Half of the runs follow at once: the lock must be free.
 */
export async function endAtRandom(
  subject: Subject,
  signals: readonly Signal[],
  times: number,
  random: () => number,
): Promise<Tally> {
  const { box, folder, args, env } = subject;
  const tally: Tally = { ended: 0, done: 0, leftBehind: 0, published: 0 };
  const startedAt = performance.now();
  await box.ok(args, { env });
  const wholeMs = performance.now() - startedAt;
  const first = publishedIn(folder);
  while (tally.ended < times) {
    expect(tally.done, "runs that are over before the signal").toBeLessThan(2 * times);
    const signal = signals[tally.ended % signals.length]!;
    const ran = await endedRun(subject, signal, wholeMs, random);
    if (ran.code === 0) tally.done += 1;
    else tally.ended += 1;
    if (ran.code !== 0) checkEnd(subject, signal, ran);
    if (leftoversIn(folder).length > 0) tally.leftBehind += 1;
    if (archivesIn(folder).length > 1) tally.published += 1;
    expect(await problemsIn(folder, first), ran.stderr).toEqual([]);
    for (const name of publishedIn(folder))
      if (!first.includes(name)) rmSync(join(folder, name), { recursive: true });
    if (random() < 0.5) await checkGone(subject);
  }
  await checkGone(subject);
  expect(publishedIn(folder)).toEqual(first);
  await box.ok(args, { env });
  expect(leftoversIn(folder)).toEqual([]);
  expect(await problemsIn(folder)).toEqual([]);
  expect(await box.run(["backup", "verify", "--all"])).toMatchObject({ code: 0 });
  return tally;
}

/** One run, ended at a random moment of its time, or at one of the first changes of the folder; it may be over before. */
async function endedRun(
  { box, folder, args, env }: Subject,
  signal: Signal,
  wholeMs: number,
  random: () => number,
): Promise<Ran> {
  const child = box.start(args, { env });
  const ended = collect(child);
  if (random() < 0.6) {
    await Promise.race([delay(random() * wholeMs), ended]);
    child.kill(signal);
    return ended;
  }
  let changes = Math.ceil(random() * FOLDER_CHANGES);
  const watcher = watch(folder, () => {
    changes -= 1;
    if (changes === 0) child.kill(signal);
  });
  return ended.finally(() => watcher.close());
}

function checkEnd({ box, folder, env }: Subject, signal: Signal, ran: Ran): void {
  if (signal === "SIGKILL") {
    // any other end, "locked" above all, is one that nobody asked for
    expect(ran, ran.stderr).toMatchObject({ code: null, signal });
    return;
  }
  // before anything of ours runs, the signal ends Node itself
  expect(ran.code === CODES[signal] || (ran.signal === signal && ran.stderr === ""), ran.stderr).toBe(true);
  expect(ran.stderr).not.toMatch(/\n\s+at /);
  expect(leftoversIn(folder)).toEqual([]);
  // Node's own cache of compiled code stays
  expect(readdirSync(env["TMPDIR"]!).filter((name) => name !== "node-compile-cache")).toEqual([]);
  expect(processesOf(box)).toEqual([]);
}

/** Of an ended run neither a process nor a session stays. */
async function checkGone({ box, sessions }: Subject): Promise<void> {
  await until("no process of the run is left", () => processesOf(box).length === 0);
  await until("no session of the run is left", async () => (await sessions()) === 0);
}

/**
 * Kills runs that replace a single file, each at a random moment.
 * @returns how many were ended; after each the file is whole, and at the end its sidecar fits again
 */
export async function replaceAtRandom({ box, args, env }: Subject, times: number, random: () => number) {
  const files = args.slice(args.indexOf("--sqlite"), args.indexOf("--sqlite") + 2);
  const replace = ["backup", "sqlite", ...files, "--output", "latest.db"];
  const path = join(box.cwd, "latest.db");
  const startedAt = performance.now();
  await box.ok(replace, { env });
  const wholeMs = performance.now() - startedAt;
  const whole = await digest(path);
  let ended = 0;
  for (let run = 0; run < times; run += 1) {
    const child = box.start(replace, { env });
    const killed = collect(child);
    await Promise.race([delay(random() * wholeMs), killed]);
    child.kill("SIGKILL");
    if ((await killed).signal !== null) ended += 1;
    expect(await digest(path)).toBe(whole);
  }
  await box.ok(replace, { env });
  expect(leftoversIn(box.cwd)).toEqual([]);
  expect(await box.run(["backup", "verify", path])).toMatchObject({ code: 0 });
  return ended;
}
