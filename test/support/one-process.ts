/**
 * Many command lines, one process of the built program: for tests whose cases differ in what the program answers. Starting it is nine
 * tenths of what such a case costs. What is about the process itself (signals, pipes that close, its end) needs a process of its own.
 */
import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Ran } from "./cli.ts";
import type { Request } from "./one-process-child.ts";

const CHILD = join(import.meta.dirname, "one-process-child.ts");

/** One for each test file; it ends with the process of that file. */
let process: ChildProcess | undefined;
let isBusy = false;

/** Runs a command line; undefined while another runs: what is asked at the same time shall run at the same time. */
export function runInOneProcess(request: Omit<Request, "end">): Promise<Ran> | undefined {
  if (isBusy) return undefined;
  isBusy = true;
  return ask(request).finally(() => {
    isBusy = false;
  });
}

async function ask(request: Omit<Request, "end">): Promise<Ran> {
  process ??= start();
  const child = process;
  const end = randomBytes(16).toString("hex");
  const code = new Promise<number>((resolve, reject) => {
    child.once("message", resolve);
    child.once("error", reject);
    child.once("close", (code, signal) => reject(new Error(`it ended (${code ?? signal})`)));
  });
  const texts = Promise.all([textUntil(child.stdout!, end), textUntil(child.stderr!, end)]);
  try {
    child.send({ ...request, end } satisfies Request);
    const [[stdout, stderr], exitCode] = await Promise.all([texts, code]);
    return { code: exitCode, signal: null, stdout, stderr };
  } catch (error) {
    process = undefined;
    child.kill("SIGKILL");
    throw new Error(`opsctl ${request.args.join(" ")}`, { cause: error });
  } finally {
    for (const source of [child, child.stdout!, child.stderr!]) source.removeAllListeners();
  }
}

/** Without an environment: that of each command line comes with it. */
function start(): ChildProcess {
  return fork(CHILD, {
    execArgv: [],
    env: {},
    serialization: "advanced",
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
}

/** What comes before `end`, which is the last that comes. */
function textUntil(stream: NodeJS.ReadableStream, end: string): Promise<string> {
  let text = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    stream.on("data", (chunk: Buffer) => {
      text = Buffer.concat([text, chunk]);
      if (text.subarray(-end.length).toString("latin1") === end)
        resolve(text.subarray(0, -end.length).toString("utf8"));
    });
    stream.on("close", () => reject(new Error(text.toString("utf8"))));
  });
}
