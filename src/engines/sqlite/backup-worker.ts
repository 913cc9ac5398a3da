/** The thread in which SQLite files are copied and checked, for backups and restores: SQLite blocks, and the other parts must not wait. */
import { parentPort } from "node:worker_threads";
import { OpsError, toOpsError } from "../../errors.ts";
import { checkCopy, type Found } from "./backup-check.ts";
import { openSource, type Pinned, type Source, type SourceFacts } from "./backup-source.ts";
import { type Look, lookAt, type Replaced, replaceContent } from "./restore-live.ts";

/** One number, shared by both threads; not 0: nobody waits for the work any more. */
export type StopFlag = Int32Array<SharedArrayBuffer>;

interface Held {
  source: Source;
  isStopped(): boolean;
}

type Report = (done: number, total: number) => void;

/** Sources by a number that the other side chose. */
const held = new Map<number, Held>();

const TASKS = {
  async open(
    _report: Report,
    id: number,
    path: string,
    waitMs: number,
    stop: StopFlag,
  ): Promise<SourceFacts> {
    const isStopped = () => Atomics.load(stop, 0) !== 0;
    const source = await openSource(path, { waitMs, isStopped });
    held.set(id, { source, isStopped });
    return source.facts;
  },
  async pin(_report: Report, id: number, waitMs: number): Promise<Pinned> {
    const { source, isStopped } = held.get(id)!;
    return source.pin({ waitMs, isStopped });
  },
  async copy(report: Report, id: number, to: string): Promise<void> {
    const { source, isStopped } = held.get(id)!;
    await source.copy(to, (done, total) => {
      if (isStopped()) throw new OpsError({ code: "failed", message: "the copy was stopped" });
      report(done, total);
    });
  },
  async close(_report: Report, id: number): Promise<void> {
    held.get(id)?.source.close();
    held.delete(id);
  },
  async check(_report: Report, path: string, name: string): Promise<Found> {
    return checkCopy(path, name);
  },
  async look(_report: Report, path: string, isDeep: boolean, waitMs: number, stop: StopFlag): Promise<Look> {
    return lookAt(path, isDeep, { waitMs, isStopped: () => Atomics.load(stop, 0) !== 0 });
  },
  async replace(report: Report, from: string, to: string, waitMs: number, stop: StopFlag): Promise<Replaced> {
    const isStopped = () => Atomics.load(stop, 0) !== 0;
    return replaceContent(from, to, { waitMs, isStopped }, (done, total) => {
      if (isStopped()) throw new OpsError({ code: "failed", message: "the copy was stopped" });
      report(done, total);
    });
  },
};
export type Tasks = typeof TASKS;

export interface Request {
  number: number;
  task: keyof Tasks;
  args: unknown[];
}

export interface Answer {
  number: number;
  /** In bytes; more follows. */
  progress?: { done: number; total: number };
  value?: unknown;
  error?: Pick<OpsError, "code" | "message" | "hint">;
}

parentPort!.on("message", async ({ number, task, args }: Request) => {
  const answer = (rest: Omit<Answer, "number">) => parentPort!.postMessage({ number, ...rest });
  const report: Report = (done, total) => answer({ progress: { done, total } });
  try {
    const work = TASKS[task] as (report: Report, ...args: unknown[]) => Promise<unknown>;
    answer({ value: await work(report, ...args) });
  } catch (error) {
    const { code, message, hint } = toOpsError(error);
    answer({ error: { code, message, hint } });
  }
});
