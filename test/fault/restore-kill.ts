/** Ends of `restore` at random points. */
import { watch } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { Ran } from "../support/cli.ts";
import {
  checkQuiet,
  digests,
  lastRestore,
  leftBehind,
  NAME,
  type RestoreScene,
  restored,
  settled,
  startRestore,
} from "./restore-scene.ts";

/** About as many events are seen in the state file while a restore writes its journal. */
const JOURNAL_EVENTS = 60;
/** States that need the operator. */
const UNFINISHED = ["preparing", "swapping", "undoing"];

export interface Tally {
  /** Runs that the signal ended. */
  ended: number;
  /** Runs that were done before. */
  done: number;
  /** Of the ended: before anything was in the journal. */
  unknown: number;
  /** In which state the ended runs left the journal. */
  states: Record<string, number>;
  resumed: number;
  aborted: number;
  /** A command that went on, or back, was killed as well. */
  endedAgain: number;
}

type Signal = "SIGKILL" | "SIGTERM" | "SIGINT";
const CODES = { SIGTERM: 143, SIGINT: 130 };

/**
 * Starts restores until `times` of them were ended by a signal, each at a random moment or at a random write of the journal. After each of them every
 * store holds the old data or those of the archive; `--resume` brings the latter and `--abort` the former, in turn, killed once themselves now and
 * then; and what was restored goes back. Nothing is left beside the live data.
 */
export async function endAtRandom(
  scene: RestoreScene,
  signals: readonly Signal[],
  times: number,
  random: () => number,
): Promise<Tally> {
  const tally: Tally = { ended: 0, done: 0, unknown: 0, states: {}, resumed: 0, aborted: 0, endedAgain: 0 };
  const startedAt = performance.now();
  await restored(scene, NAME, "--yes");
  const wholeMs = performance.now() - startedAt;
  await checkNew(scene);
  await goBack(scene);
  while (tally.ended < times) {
    expect(tally.done, "runs that are over before the signal").toBeLessThan(2 * times + 5);
    const signal = signals[tally.ended % signals.length]!;
    const before = lastRestore(scene)?.id;
    const ran = await endedRun(scene, [NAME, "--yes"], signal, wholeMs, random);
    if (ran.code === 0) {
      tally.done += 1;
      await goBack(scene);
      continue;
    }
    tally.ended += 1;
    checkEnd(scene, signal, ran);
    await settled(scene);
    await checkOneOrOther(scene, ran);
    const restore = lastRestore(scene);
    if (!restore || restore.id === before) {
      tally.unknown += 1;
      await checkOld(scene, ran.stderr);
      continue;
    }
    tally.states[restore.state] = (tally.states[restore.state] ?? 0) + 1;
    await finish(scene, restore.state, tally, wholeMs, random);
  }
  // sweeps what runs left that had nothing in the journal yet
  await restored(scene, NAME, "--yes");
  await goBack(scene);
  return tally;
}

/** The way on from an ended restore. */
async function finish(
  scene: RestoreScene,
  state: string,
  tally: Tally,
  wholeMs: number,
  random: () => number,
): Promise<void> {
  if (!UNFINISHED.includes(state)) {
    // the signal came after its last word
    if (state === "done") await checkNew(scene);
    if (state === "done") await goBack(scene);
    else await checkOld(scene, state);
    return;
  }
  const way = state === "undoing" || (tally.resumed + tally.aborted) % 2 === 1 ? "--abort" : "--resume";
  if (random() < 0.3) {
    const ran = await endedRun(scene, [way, "--yes"], "SIGKILL", wholeMs, random);
    tally.endedAgain += 1;
    await settled(scene);
    await checkOneOrOther(scene, ran);
  }
  // it may have been over before the second signal
  const now = lastRestore(scene)!.state;
  if (UNFINISHED.includes(now)) await restored(scene, way, "--yes");
  tally[way === "--resume" ? "resumed" : "aborted"] += 1;
  if (way === "--abort") return checkOld(scene, state);
  await checkNew(scene);
  await goBack(scene);
}

/** One run, ended at a random moment of its time, or at one of the first writes of its journal; it may be over before. */
export async function endedRun(
  scene: RestoreScene,
  args: readonly string[],
  signal: Signal,
  wholeMs: number,
  random: () => number,
): Promise<Ran> {
  const { child, ended } = startRestore(scene, args);
  const kind = random();
  if (kind < 0.2) {
    await Promise.race([delay(random() * wholeMs), ended]);
    child.kill(signal);
    return ended;
  }
  // most of them after its first write
  let events = kind < 0.6 ? Math.ceil(random() * JOURNAL_EVENTS) : 1;
  const watcher = watch(scene.box.dir, (_, name) => {
    if (!name?.startsWith("state.db")) return;
    events -= 1;
    if (events !== 0) return;
    if (kind < 0.6) child.kill(signal);
    else setTimeout(() => child.kill(signal), random() * wholeMs * 0.7);
  });
  return ended.finally(() => watcher.close());
}

function checkEnd(scene: RestoreScene, signal: Signal, ran: Ran): void {
  if (signal === "SIGKILL") {
    // any other end is one that nobody asked for
    expect(ran, ran.stderr).toMatchObject({ code: null, signal });
    return;
  }
  // before anything of ours runs, and after its last word, the signal ends Node itself
  const isNodes = ran.signal === signal && (ran.stderr === "" || /^restored /m.test(ran.stderr));
  expect(ran.code === CODES[signal] || isNodes, ran.stderr).toBe(true);
  checkQuiet(scene, ran);
}

/** No store holds anything between the two. */
async function checkOneOrOther(scene: RestoreScene, ran: Ran): Promise<void> {
  const { stores, old, saved } = scene;
  const now = await digests(scene);
  stores.forEach(({ engine }, n) => {
    // a graph is replaced in place: it says so by a marker, and the journal brings it to one of the two
    if (engine !== "neo4j") expect([old[n], saved[n]], `${engine} after ${ran.stderr}`).toContain(now[n]);
  });
}

async function checkNew(scene: RestoreScene): Promise<void> {
  expect(await digests(scene)).toEqual(scene.saved);
}

async function checkOld(scene: RestoreScene, why: string): Promise<void> {
  expect(await digests(scene), why).toEqual(scene.old);
}

/** Undoes a restore that is done. */
async function goBack(scene: RestoreScene): Promise<void> {
  await restored(scene, "--rollback", "--yes");
  await checkOld(scene, "after --rollback");
  expect(await leftBehind(scene)).toEqual([]);
}
