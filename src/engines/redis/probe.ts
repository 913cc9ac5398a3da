import { randomBytes } from "node:crypto";
import { type Call, createCall } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Probe } from "../../health/port.ts";
import type { RedisConnection } from "./connect.ts";
import { RedisRefusal } from "./errors.ts";
import { readInfo } from "./info.ts";

/** A key of the write test outlives a run that is broken off by this long at most, s. */
const LIFE_S = 60;
/** For taking it away then, ms. */
const LEAVE_MS = 250;

/** Asks for the version, then times one PING on the connection that is open by then. Who may do neither is connected all the same. */
export function redisProbe(connection: RedisConnection): Probe {
  return {
    selfTest: (call) => writeTest(call, connection),
    async probe(call) {
      const version = await readVersion();
      const startedAt = performance.now();
      // a user that may only read has no PING: to say so the server answered
      await allowed(connection.run(call, ["PING"]));
      return { version, latency_ms: Math.round((performance.now() - startedAt) * 100) / 100 };

      async function readVersion(): Promise<string> {
        // a monitoring user often has PING and no INFO
        const info = await allowed(readInfo(call, connection, "server"));
        return info?.["redis_version"] ?? "unknown";
      }
    },
  };
}

/** Undefined: this user may not ask that. */
async function allowed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RedisRefusal && error.reply === "NOPERM") return undefined;
    throw error;
  }
}

/**
 * Sets, reads and deletes a key of its own, which the server drops by itself should nobody come to delete it.
 * @throws OpsError `failed` with the step that was refused or answered something else
 */
async function writeTest(call: Call, connection: RedisConnection): Promise<void> {
  const key = `opsctl:health:${randomBytes(12).toString("hex")}`;
  const value = randomBytes(12).toString("hex");
  let isLeft = true;
  try {
    await step("SET", () =>
      connection.run(call, ["SET", key, value, "EX", String(LIFE_S)], { writes: true }),
    );
    const read = await step("GET", () => connection.run(call, ["GET", key]));
    // null: an evicting server was so full that the key went at once
    if (read !== value)
      throw failed("GET", read === null ? "the key is gone again" : "another value came back");
    const deleted = await step("DEL", () => connection.run(call, ["DEL", key], { writes: true }));
    isLeft = false;
    if (deleted !== 1) throw failed("DEL", `it deleted ${String(deleted)} keys instead of 1`);
  } finally {
    if (isLeft) await takeAway();
  }

  /** Also when the call is over; where this fails the key expires. */
  async function takeAway(): Promise<void> {
    const { signal } = new AbortController();
    const rest = createCall({ actor: call.actor, timeoutMs: LEAVE_MS, signal });
    await connection.run(rest, ["DEL", key], { writes: true }).catch(() => {});
  }

  async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RedisRefusal)) throw error;
      if (name === "SET") isLeft = false;
      throw failed(name, error.message, error.hint);
    }
  }
}

function failed(step: string, why: string, hint?: string): OpsError {
  return new OpsError({
    code: "failed",
    engine: "redis",
    message: `the write test stopped at ${step}: ${why}`,
    ...(hint === undefined ? {} : { hint }),
  });
}
