/** Programs whose output passes through this process. */
import type { Call } from "../../call.ts";
import type { RunningTool } from "../../child.ts";

/**
 * Runs works side by side, under a call that ends when one of them fails: the programs of the others end with it.
 * @throws what failed first, when all have ended
 */
export async function together(call: Call, start: (own: Call) => readonly Promise<void>[]): Promise<void> {
  const failed = new AbortController();
  const own = { ...call, signal: AbortSignal.any([call.signal, failed.signal]) };
  const failures: unknown[] = [];
  const works = start(own).map((work) =>
    work.catch((error: unknown) => {
      failures.push(error);
      failed.abort(error);
    }),
  );
  await Promise.all(works);
  if (failures.length > 0) throw failures[0];
}

/** What a program writes. A program that was ended closes its output early; its `done` says why. */
export async function* outputOf(tool: RunningTool): AsyncGenerator<Buffer> {
  try {
    yield* tool.stdout;
  } catch {
    // `done` says why
  }
}

/** Writes to a program; returns when it may have more. One that has ended takes everything: its `done` says why. */
export async function feedTool(tool: RunningTool, chunk: Uint8Array): Promise<void> {
  await new Promise<void>((resolve) => {
    tool.stdin.write(chunk, () => resolve());
  });
}
