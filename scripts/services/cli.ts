/**
 * `npm run services` and `npm run services:stop`: the servers for trying things by hand.
 *
 *   eval "$(npm run --silent services)"
 *
 * stdout carries export lines only. `--state FILE` keeps a second set apart from the first.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ensureTools } from "./install.ts";
import { startServices, stopServices } from "./services.ts";
import { logToStderr } from "./shell.ts";

const USAGE = "usage: node scripts/services/cli.ts start|stop|install [--state FILE]";
const DEFAULT_STATE = join(import.meta.dirname, "../../.services/state.json");

async function start(stateFile: string): Promise<void> {
  const interruption = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => interruption.abort(new Error(`interrupted by ${signal}`)));
  }
  const env = await startServices({ stateFile, log: logToStderr, signal: interruption.signal });
  const lines = Object.entries(env).map(([name, value]) => `export ${name}=${value}\n`);
  process.stdout.write(lines.join(""));
}

async function stop(stateFile: string): Promise<void> {
  const stopped = await stopServices({ stateFile, log: logToStderr });
  logToStderr(stopped ? "the services are stopped and their data is removed" : "no services are running");
}

async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { state: { type: "string" } },
  });
  const stateFile = values.state ?? DEFAULT_STATE;
  switch (positionals.join(" ")) {
    case "start":
      return start(stateFile);
    case "stop":
      return stop(stateFile);
    case "install":
      await ensureTools(logToStderr);
      return logToStderr("everything that the services need is installed");
    default:
      throw new Error(USAGE);
  }
}

try {
  await main();
} catch (error) {
  logToStderr(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
