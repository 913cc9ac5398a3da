/**
 * Answers many command lines with the launcher and the built program, one after the other: each with its own arguments, environment,
 * working directory and stdin, and with the exit code it would end with. Started by one-process.ts.
 */
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";

export interface Request {
  /** Written to both streams after the output of this command line. */
  end: string;
  args: readonly string[];
  cwd: string;
  env: Record<string, string>;
  /** All of its stdin. */
  input: Uint8Array;
}

const BIN = join(import.meta.dirname, "..", "..", "bin", "opsctl.js");
const launcher = pathToFileURL(BIN).href;
// both streams hold the process once they are used: also before the first command line
const STREAMS = [process.stdout, process.stderr];
let number = 0;

process.on("disconnect", () => process.exit());
process.on("message", async (request: Request) => {
  const { end, args, cwd, env, input } = request;
  enter(args, cwd, env, Buffer.from(input));
  const before = held();
  // a module of its own each time: the launcher runs when it is imported
  await import(`${launcher}?${++number}`);
  // a process ends when nothing keeps it alive any more, and not before
  while (held() > before) await wait(1);
  const code = process.exitCode ?? 0;
  process.exitCode = undefined;
  // its folder may be removed before the next one comes
  process.chdir("/");
  for (const stream of STREAMS) {
    stream.removeAllListeners("error");
    await new Promise((done) => stream.write(end, done));
  }
  process.send!(code);
});

function enter(args: readonly string[], cwd: string, env: Record<string, string>, input: Buffer): void {
  process.argv = [process.execPath, BIN, ...args];
  process.chdir(cwd);
  const variables = process.env;
  for (const name of Object.keys(variables)) delete variables[name];
  Object.assign(variables, env);
  const stdin = Readable.from(input.length > 0 ? [input] : [], { objectMode: false });
  Object.defineProperty(process, "stdin", { value: stdin, configurable: true });
  const started = performance.now();
  process.uptime = () => (performance.now() - started) / 1000;
}

/** What keeps the process alive: timers, sockets, files, children. */
function held(): number {
  return process.getActiveResourcesInfo().length;
}
