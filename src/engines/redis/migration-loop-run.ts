/** Runs a loop of a migration file over the keys that its pattern finds. */
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Command } from "./client.ts";
import { RedisRefusal } from "./errors.ts";
import { type Page, readPage, scanCommand } from "./migration-keys.ts";
import { argumentsFor, type Loop } from "./migration-loop.ts";
import type { RunnerSession } from "./migration-session.ts";
import { shownBytes } from "./migration-words.ts";

/** Keys that the server looks at for one page; as many commands at most go out together. */
const COUNT = 500;
/** Between two checkpoints that are stored, in pages. */
const PAGES_A_CHECKPOINT = 20;

/** How far a loop is: everything in front of the cursor is done. */
export interface LoopState {
  cursor: string;
  keys: number;
}

export interface LoopRun {
  /** Where it goes on; undefined: at the beginning. */
  from: LoopState | undefined;
  /** ms for all of it; null: as long as it takes. */
  timeoutMs: number | null;
  /** Told after each page; `isDue`: it is time to store it. */
  onPage(state: LoopState, isDue: boolean): Promise<void>;
}

/**
 * One round trip a page: the commands for its keys, and behind them the question for the next page. A key may be met twice, and keys that are
 * made or deleted meanwhile may be missed: what is there from beginning to end is met.
 * @returns the keys that were reached
 * @throws OpsError of the first key whose command is refused, with its name
 */
export async function runLoop(call: Call, session: RunnerSession, loop: Loop, run: LoopRun): Promise<number> {
  const endsAt = performance.now() + (run.timeoutMs ?? Number.POSITIVE_INFINITY);
  let keys = run.from?.keys ?? 0;
  let page: Page = { cursor: run.from?.cursor ?? "0", keys: [] };
  for (let pages = 0; ; pages += 1) {
    throwIfAborted(call);
    const leftMs = endsAt - performance.now();
    if (leftMs <= 0) throw tooSlow(session, run.timeoutMs!, keys);
    const isLast = pages > 0 && page.cursor === "0";
    const commands = page.keys.map((key): Command => [loop.name, ...argumentsFor(loop, key)]);
    if (!isLast) commands.push(scanCommand(page.cursor, loop, COUNT));
    const timeoutMs = run.timeoutMs === null ? null : leftMs;
    const replies = await session.batch(call, commands, { writes: true, quotes: true, timeoutMs });
    refuseFirst(replies, page.keys);
    keys += page.keys.length;
    if (isLast) return keys;
    if (pages > 0) await run.onPage({ cursor: page.cursor, keys }, pages % PAGES_A_CHECKPOINT === 0);
    const next = replies.at(-1);
    if (next instanceof Error) throw next;
    page = readPage(next);
  }
}

function refuseFirst(replies: readonly unknown[], keys: readonly Buffer[]): void {
  for (const [index, key] of keys.entries()) {
    const reply = replies[index];
    // it expired or was deleted since the page was read
    if (!(reply instanceof RedisRefusal) || reply.words === "no such key") continue;
    throw new OpsError({
      code: reply.code,
      engine: "redis",
      message: `${reply.message} (key ${shownBytes(key)})`,
      hint:
        reply.reply === "WRONGTYPE"
          ? "TYPE <type> after the pattern limits the loop to keys of one type"
          : reply.hint,
    });
  }
}

function tooSlow(session: RunnerSession, timeoutMs: number, keys: number): OpsError {
  return new OpsError({
    code: "failed",
    engine: "redis",
    message: `Redis at ${session.at}: the loop is not done after ${timeoutMs} ms (${keys.toLocaleString("en")} keys reached)`,
    hint: "run it again, it goes on from there; --statement-timeout gives it longer",
  });
}
