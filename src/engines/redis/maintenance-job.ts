/** What Redis does in a child process: started, then waited for. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Command } from "./client.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import { readInfo } from "./info.ts";

const POLL_MS = 50;
/** Kept of the call's time for what comes after the wait. */
const RESERVE_MS = 500;

export interface Job {
  command: Command;
  /** Of INFO persistence: `1` while it runs or waits, and how the last one ended. */
  fields: { busy: readonly string[]; status: string };
  what: string;
}

/**
 * Starts it, or joins the one that runs, and waits within the call's deadline. The server cannot be told to stop: what is not done by then goes
 * on there, and leaves nothing half done.
 * @returns a note when it goes on; null: done
 * @throws OpsError `failed` when the server could not write the file
 */
export async function startJob(call: Call, connection: RedisConnection, job: Job): Promise<string | null> {
  // how long it may take depends on the data: without a deadline as long as it does
  let isStarted = false;
  while (true) {
    throwIfAborted(call);
    isStarted ||= await start(call, connection, job);
    const info = await readInfo(call, connection, "persistence");
    const busy = !isStarted || job.fields.busy.some((field) => info[field] === "1");
    if (!busy) {
      if (info[job.fields.status] !== "err") return null;
      throw new OpsError({
        code: "failed",
        engine: "redis",
        message: `Redis at ${connection.at} could not write its ${job.what}`,
        hint: "look for the reason in the server's log: space and permissions of its data folder",
      });
    }
    if (call.remainingMs() <= RESERVE_MS) {
      return `${isStarted ? "still running" : "another job of the server was running"} when the time was over: opsctl query redis "INFO persistence"`;
    }
    await sleep(POLL_MS);
  }
}

/** @returns false: another job runs first */
async function start(call: Call, connection: RedisConnection, { command }: Job): Promise<boolean> {
  try {
    await connection.run(call, command, { writes: true, quotes: true });
    return true;
  } catch (error) {
    const words = error instanceof RedisRefusal ? (error.words ?? "") : "";
    // it runs already, for somebody else: that is as good
    if (/already in progress/i.test(words)) return true;
    if (/child process is active/i.test(words)) return false;
    throw error;
  }
}
