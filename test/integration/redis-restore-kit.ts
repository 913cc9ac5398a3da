/** Restores into real servers. */
import { copyFileSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Call } from "../../src/call.ts";
import type { Limits } from "../../src/config/targets.ts";
import { redis } from "../../src/engines/redis/engine.ts";
import { OpsError } from "../../src/errors.ts";
import type { Drilled, RestorePart, RestoreTask, Saved } from "../../src/restore/port.ts";
import { testCall } from "../support/calls.ts";
import { type Made, target } from "./redis-backup-kit.ts";

export const LIMITS: Limits = { connectMs: 2_000, queryMs: 5_000, poolSize: 1 };

export type RestoreMethod = RestoreTask["options"]["redis"]["method"];

/** What of a task differs from test to test. */
export interface Given {
  /** Of the file, as the metadata of its set have it; undefined: nobody knows. */
  made?: Pick<Made, "copied"> | undefined;
  path: string;
  method?: RestoreMethod | undefined;
  listen?: string | undefined;
  server?: string | undefined;
  limits?: Limits;
  /** Of another process. */
  saved?: Saved;
  /** Called with what is saved. */
  onSave?: ((saved: Saved) => Promise<void> | void) | undefined;
}

/** A restore whose journal is a variable: `part()` again is another process. */
export function restoreOf(url: string, folder: string, given: Given) {
  const work = join(folder, "work");
  mkdirSync(work, { recursive: true, mode: 0o700 });
  let saved: Saved = given.saved ?? {};
  const task = (): RestoreTask => ({
    id: "1a2b3c4d",
    name: "all",
    files: [
      {
        path: "redis/dump.rdb",
        kind: "redis-rdb",
        size_bytes: statSync(given.path).size,
        local: given.path,
      },
    ],
    expected: given.made?.copied ?? { counts: {}, breakdown: {} },
    serverVersion: null,
    isOurs: given.made?.copied !== undefined,
    work,
    saved,
    save: async (_call, now) => {
      saved = now;
      await given.onSave?.(now);
    },
    options: {
      jobs: 1,
      redis: { method: given.method ?? "auto", listen: given.listen, server: given.server ?? "redis-server" },
      neo4j: { admin: "neo4j-admin", cypherShell: "cypher-shell" },
    },
  });
  return {
    saved: () => saved,
    part: () => redis.capabilities.restore!(task(), { target: target(url), limits: given.limits ?? LIMITS }),
    drill: (call: Call = testCall()): Promise<Drilled> =>
      redis.capabilities.drill!(call, task(), undefined, LIMITS, undefined),
  };
}

/** Runs the work with the part, and closes it. */
export async function withPart<T>(
  restore: Pick<ReturnType<typeof restoreOf>, "part">,
  work: (part: RestorePart, call: Call) => Promise<T>,
  call: Call = testCall(60_000),
): Promise<T> {
  const part = await restore.part();
  try {
    return await work(part, call);
  } finally {
    await part.close();
  }
}

/** All of a restore. */
export function restored(url: string, folder: string, given: Given) {
  return withPart(restoreOf(url, folder, given), async (part, call) => {
    const plan = await part.plan(call);
    await part.prepare(call);
    const swapped = await part.swap(call);
    return { plan, swapped, found: await part.verify(call) };
  });
}

/** The error that the work ends with. */
export async function failureOf(work: Promise<unknown>): Promise<OpsError> {
  const error = await work.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof OpsError) return error;
  throw error ?? new Error("it did not fail");
}

/** A copy of the file in a folder of its own. */
export function copied(path: string, folder: string): string {
  const copy = join(folder, "copy.rdb");
  copyFileSync(path, copy);
  return copy;
}
