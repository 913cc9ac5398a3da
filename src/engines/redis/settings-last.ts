/** What makes settings last: the append-only file on disk, the settings in the server's own file. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Commands } from "./client.ts";
import { RedisRefusal } from "./errors.ts";
import { type Info, readInfo } from "./info.ts";

/** The longest wait for the first append-only file; a call with less time left waits less. */
const REWRITE_WAIT_MS = 60_000;
/** Kept of the call's time for what comes after the wait. */
const RESERVE_MS = 1_000;
const POLL_MS = 100;

/**
 * `appendonly yes` makes the server write its whole data set; until that is done a restart loses it. Waits for it.
 * @returns a note when the time is over first
 * @throws OpsError `failed` when the server could not write the file
 */
export async function waitForAppendOnlyFile(
  call: Call,
  commands: Commands,
  waitMs: number = REWRITE_WAIT_MS,
): Promise<string[]> {
  const endsAt = performance.now() + Math.min(waitMs, call.remainingMs() - RESERVE_MS);
  while (true) {
    throwIfAborted(call);
    const info = await readInfo(call, commands, "persistence");
    const busy = info["aof_rewrite_in_progress"] === "1" || info["aof_rewrite_scheduled"] === "1";
    if (!busy && info["aof_last_bgrewrite_status"] !== "err") return [];
    if (!busy) throw rewriteFailed(commands);
    if (performance.now() >= endsAt) {
      return [
        "appendonly: the server is still writing its first append-only file; until aof_rewrite_in_progress is 0 " +
          "(INFO persistence) a restart loses what no snapshot holds",
      ];
    }
    call.log("DEBUG", "waiting for the append-only file", { redis: commands.at });
    await sleep(POLL_MS);
  }
}

function rewriteFailed(commands: Commands): OpsError {
  return new OpsError({
    code: "failed",
    message: `Redis at ${commands.at} could not write its append-only file`,
    hint: "look for the reason in the server's log: space and permissions of its data folder",
    engine: "redis",
  });
}

/** Writes the settings into the server's configuration file; the notes say how long they last. */
export async function persistSettings(call: Call, commands: Commands): Promise<string[]> {
  const info = await readInfo(call, commands, "server").catch((error: unknown): Info => {
    // as below: the settings are in force
    if (error instanceof RedisRefusal) return {};
    throw error;
  });
  if (Object.keys(info).length === 0)
    return ["whether it outlives a restart is unknown: this user may not run INFO"];
  const notes =
    info["redis_mode"] === "cluster" ? ["only this node of the cluster was set: repeat it for each"] : [];
  const file = info["config_file"];
  if (!file) return [...notes, "lasts until restart: the server was started without a config file"];
  try {
    await commands.run(call, ["CONFIG", "REWRITE"], { writes: true, words: 2 });
    return [...notes, `written to the server's ${file}`];
  } catch (error) {
    if (!(error instanceof RedisRefusal)) throw error;
    // the settings are in force and read back; that they end with the process is worth a note, not a failure
    return [...notes, `lasts until restart: ${file} was not rewritten (${error.words ?? error.message})`];
  }
}
