/** Scripts that have no transaction around them: how far they are is history's to say, after every statement. */
import { type Call, throwIfAborted } from "../call.ts";
import { type ErrorCode, OpsError } from "../errors.ts";
import { sha256 } from "../hash.ts";
import type { HistoryRow, Statement, Step } from "./port.ts";

/** Digests of one list of statements, as far as they were asked for: each builds on the one before. */
const digests = new WeakMap<readonly Statement[], string[]>();

/**
 * Digest of the statements that are done: what follows them may still be corrected, they may not. A chain, because it is asked for after
 * each of perhaps many thousand statements.
 */
export function executedChecksum(statements: readonly Statement[], done: number): string {
  const chain = digests.get(statements) ?? [sha256("")];
  digests.set(statements, chain);
  for (let index = chain.length - 1; index < done; index += 1) {
    chain.push(sha256(`${chain[index]}\0${statements[index]?.text ?? ""}`));
  }
  return `sha256:${chain[done]}`;
}

/** The row of a script of which `done` statements have run. */
export function unfinishedRow(
  { row, script }: Step,
  state: "running" | "failed",
  statements: readonly Statement[],
  done: number,
  durationMs: number,
): HistoryRow {
  const checksum = executedChecksum(statements, done);
  return { ...row, file: script.file, checksum, state, statement_index: done, duration_ms: durationMs };
}

/** The row of a script that is done. */
export function doneRow({ row, direction }: Step, durationMs: number): HistoryRow {
  const state = direction === "up" ? "applied" : "reverted";
  return { ...row, state, statement_index: 0, duration_ms: durationMs };
}

/** Codes of errors after which a statement may have taken effect all the same. */
const IN_DOUBT: ReadonlySet<ErrorCode> = new Set([
  "unreachable",
  "unknown_outcome",
  "interrupted",
  "terminated",
]);

/** Whether the error says that the statement did nothing. */
export function isRefusal(call: Call, error: unknown): boolean {
  return error instanceof OpsError && !IN_DOUBT.has(error.code) && !call.signal.aborted;
}

/**
 * Runs statement after statement, each committed by itself. `write` stores a row of history. When the server refuses a statement, the row
 * says `failed`; when this process is killed or the answer is lost, it still says `running`: then the next statement may have
 * taken effect or not.
 */
export async function runStepwise(
  call: Call,
  step: Step,
  statements: readonly Statement[],
  write: (row: HistoryRow) => Promise<void>,
  execute: (statement: Statement, index: number) => Promise<void>,
): Promise<void> {
  const startedAt = performance.now();
  const elapsed = () => Math.round(performance.now() - startedAt);
  const fail = (done: number) => write(unfinishedRow(step, "failed", statements, done, elapsed()));
  let done = step.from;
  const announce = () =>
    call.progress({ label: step.script.file, done, total: statements.length, unit: "statements" });
  await write(unfinishedRow(step, "running", statements, done, 0));
  announce();
  while (done < statements.length) {
    if (call.signal.aborted) await fail(done);
    throwIfAborted(call);
    try {
      await execute(statements[done]!, done);
    } catch (error) {
      // the error that stopped the script is the one to report; a history that cannot be written still says `running`
      if (isRefusal(call, error)) await fail(done).catch(() => {});
      throw error;
    }
    done += 1;
    announce();
    if (done < statements.length) await write(unfinishedRow(step, "running", statements, done, elapsed()));
  }
  await write(doneRow(step, elapsed()));
}
