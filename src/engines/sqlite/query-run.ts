/** The process that runs a statement, as its owner sees it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { abortError, type Call } from "../../call.ts";
import { type RunningTool, startTool } from "../../child.ts";
import { OpsError } from "../../errors.ts";
import type { QueryOptions, QueryResult } from "../../query/port.ts";
import type { Answer } from "./query-child.ts";
import type { StatementRequest } from "./query-statement.ts";

/** How long a statement waits for the locks of others, ms: a write of opsctl takes a few. */
const LOCK_WAIT_MS = 2_000;
/** A larger answer is not taken into memory. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

/** Longer than any timer of Node. */
const NO_LIMIT_MS = 2 ** 31 - 1;

/**
 * Runs one statement in a process of its own, which ends with the call: SQLite keeps all of a statement or nothing.
 * @param limitMs how long the statement may take, once the file is open; undefined: until the call's deadline
 * @throws OpsError `usage` for what may not run; `failed` with SQLite's message, or at the limit; `unknown_outcome` for a write that was not
 *   over at the deadline
 */
export async function runInProcess(
  call: Call,
  path: string,
  text: string,
  options: QueryOptions,
  limitMs = NO_LIMIT_MS,
): Promise<QueryResult> {
  // some of the time is left to say that the file is locked
  const waitMs = Math.min(LOCK_WAIT_MS, call.remainingMs() / 2, limitMs / 2);
  const tool = startTool(call, process.execPath, [childFile()], { engine: "sqlite", stdin: "pipe" });
  tool.stdin.write(`${JSON.stringify({ path, text, options, waitMs } satisfies StatementRequest)}\n`);
  const answer = JSON.parse(await read(call, tool, path, options.write, limitMs)) as Answer;
  if ("error" in answer) throw new OpsError({ ...answer.error, engine: "sqlite" });
  return answer.value;
}

/** What it prints, once it has ended. It prints an empty line when the file is open: from there its time counts. */
async function read(
  call: Call,
  tool: RunningTool,
  path: string,
  mayWrite: boolean,
  limitMs: number,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const end = () => {
    isOver = true;
    tool.kill();
  };
  try {
    for await (const chunk of tool.stdout as AsyncIterable<Buffer>) {
      timer ??= setTimeout(end, limitMs);
      chunks.push(chunk);
      size += chunk.length;
      if (size > MAX_ANSWER_BYTES) throw tooLarge();
    }
  } catch (error) {
    tool.kill();
    if (error instanceof OpsError) throw error;
    // a program that was ended closes its output early; `done` says why
  } finally {
    clearTimeout(timer);
  }
  try {
    await tool.done;
  } catch (error) {
    if (isOver && !call.signal.aborted) throw tooLong(path, limitMs);
    throw mayWrite && call.signal.aborted ? unknownOutcome(path, call) : error;
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Beside the bundle, or in this folder when it runs from the sources. */
function childFile(): string {
  const bundled = join(import.meta.dirname, "sqlite-query.cjs");
  return existsSync(bundled) ? bundled : join(import.meta.dirname, "query-child.ts");
}

function tooLarge(): OpsError {
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `the answer is larger than ${MAX_ANSWER_BYTES / 1024 / 1024} MiB`,
    hint: "ask for fewer columns, or lower --limit",
  });
}

function tooLong(path: string, limitMs: number): OpsError {
  return new OpsError({
    code: "failed",
    engine: "sqlite",
    message: `the statement on ${path} took longer than ${limitMs / 1000} s`,
    hint: "raise OPSCTL_QUERY_TIMEOUT, for example OPSCTL_QUERY_TIMEOUT=5m",
  });
}

/** Ended while it worked. A signal stays a signal: whoever sent it knows. */
function unknownOutcome(path: string, { signal }: Call): OpsError {
  if (signal.reason instanceof OpsError) return abortError(signal.reason);
  return new OpsError({
    code: "unknown_outcome",
    engine: "sqlite",
    message: `the time limit passed while a statement wrote to ${path}: all of it was kept, or nothing`,
    hint: "read what it should have changed, then raise --timeout and run it again if it is not there",
    cause: signal.reason,
  });
}
