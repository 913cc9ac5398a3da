/**
 * Holds the writers of a database while it is read: a transaction that creates an index on every label and every type of relationship and is
 * never committed has the schema locks that each writer of such a node or relationship needs. Readers go on. Not held are nodes without labels
 * and labels that did not exist: whoever freezes compares bookmarks too.
 */
import { setTimeout as delay } from "node:timers/promises";
import { bounded, NoAnswer } from "../../bounded.ts";
import { type Call, throwIfAborted } from "../../call.ts";
import { startTool } from "../../child.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { Origin } from "../engine.ts";
import { Bolt } from "./bolt.ts";
import { isTransient } from "./errors.ts";
import { quoted } from "./migration-schema.ts";

/** One name for ever: a database never forgets the name of a property. */
const PROPERTY = "__freeze";
/** The writers win a deadlock; between two tries they get this long. */
const MIN_PAUSE_MS = 10;
const MAX_PAUSE_MS = 250;
const RELEASE_MS = 2_000;
/** This much later than promised the process is ended, if it did not let the writers go itself. */
const GRACE_MS = 3_000;
/**
 * Ends the process $2 in $1 seconds, unless its stdin is closed before: by us, or because we are gone. It is for a process that was stopped
 * (SIGSTOP, a debugger) while it holds the writers: the server ends no transaction of schema for its age, and what is left is to be killed.
 */
const GUARD = '(sleep "$1"; kill -KILL "$2") & cat; kill 0';

export interface Freeze {
  /** Until the writers were held, ms. */
  readonly waitedMs: number;
  /** Since then, or until they were let go, ms. */
  readonly heldMs: number;
  /** False: let go, by `release` or because the time was over. */
  readonly isHeld: boolean;
  /** Lets the writers go. Never throws: an end of the connection lets them go too. */
  release(): Promise<void>;
}

/**
 * Holds the writers for at most `timeoutMs`, waiting for those under way included. A process that is killed lets them go at once, one that is
 * stopped is killed when the time is over.
 * @returns why not, as a sentence, when they could not be held in that time
 * @throws OpsError when the call is aborted
 */
export async function freeze(call: Call, origin: Origin, timeoutMs: number): Promise<Freeze | string> {
  const endAt = performance.now() + timeoutMs;
  const guard = startTool(
    call,
    "sh",
    ["-c", GUARD, "sh", seconds(timeoutMs + GRACE_MS), String(process.pid)],
    {
      stdin: "pipe",
    },
  );
  let held: Held | string | undefined;
  try {
    held = await take(call, origin, timeoutMs, endAt);
    if (typeof held === "object") held.onEnd = () => guard.stdin.end();
    return held;
  } finally {
    if (typeof held !== "object") guard.stdin.end();
  }
}

async function take(call: Call, origin: Origin, timeoutMs: number, endAt: number): Promise<Held | string> {
  const startedAt = performance.now();
  const left = () => endAt - performance.now();
  let pauseMs = MIN_PAUSE_MS;
  while (left() > 0) {
    let bolt: Bolt | undefined;
    try {
      bolt = await Bolt.open(call, within(origin, left()));
      await bounded(lockSchema(bolt), left(), call.signal);
      return new Held(bolt, performance.now() - startedAt, left());
    } catch (error) {
      bolt?.destroy();
      throwIfAborted(call);
      if (!isOfTheMoment(error)) return `the writers could not be held: ${toOpsError(error).message}`;
    }
    const pause = Math.min(pauseMs * (0.5 + Math.random()), Math.max(1, left()));
    await delay(pause, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
    pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2);
  }
  return `the writers could not be held within ${seconds(timeoutMs)} s`;
}

/** A deadlock that we lost, or no answer in what was left of the time. */
function isOfTheMoment(error: unknown): boolean {
  const cause = error instanceof OpsError ? error.cause : error;
  return cause instanceof NoAnswer || isTransient(cause);
}

function seconds(ms: number): string {
  return String(Math.ceil(ms / 100) / 10);
}

/** Connecting may take no longer than the freeze, an answer as long as it. */
function within({ target, limits }: Origin, leftMs: number): Origin {
  const connectMs = Math.min(limits.connectMs, Math.max(1, leftMs));
  return { target, limits: { ...limits, connectMs, queryMs: leftMs + RELEASE_MS } };
}

async function lockSchema(bolt: Bolt): Promise<void> {
  await bolt.begin({ mode: "r" });
  const labels = await bolt.rows("CALL db.labels() YIELD label RETURN label");
  const types = await bolt.rows("CALL db.relationshipTypes() YIELD relationshipType AS type RETURN type");
  await bolt.commit();
  await bolt.begin({ mode: "w" });
  const patterns = [
    ...labels.map(([label]) => `(e:${quoted(String(label))})`),
    ...types.map(([type]) => `()-[e:${quoted(String(type))}]-()`),
  ];
  for (const [i, pattern] of patterns.entries()) {
    await bolt.rows(`CREATE INDEX opsctl_freeze_${i} FOR ${pattern} ON (e.${PROPERTY})`);
  }
}

class Held implements Freeze {
  readonly waitedMs: number;
  /** Told once, when the writers were let go. */
  onEnd: () => void = () => {};
  readonly #bolt: Bolt;
  readonly #since = performance.now();
  readonly #timer: NodeJS.Timeout;
  #until: number | undefined;

  constructor(bolt: Bolt, waitedMs: number, leftMs: number) {
    this.#bolt = bolt;
    this.waitedMs = waitedMs;
    this.#timer = setTimeout(() => this.#letGo(), leftMs);
  }

  get isHeld(): boolean {
    return this.#until === undefined;
  }

  get heldMs(): number {
    return (this.#until ?? performance.now()) - this.#since;
  }

  async release(): Promise<void> {
    if (!this.isHeld) return;
    try {
      await bounded(this.#bolt.rollback(), RELEASE_MS);
    } catch {
      // aborted or cut off: the server rolls back what lost its connection
    }
    this.#letGo();
  }

  #letGo(): void {
    if (!this.isHeld) return;
    clearTimeout(this.#timer);
    this.#until = performance.now();
    this.#bolt.destroy();
    this.onEnd();
  }
}
