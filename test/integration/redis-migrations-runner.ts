/**
 * A process that runs migrations up: `redis-migrations-runner.ts URL FILES [WAIT_MS]`, FILES as JSON for `sourceOf`. Prints the name of each file
 * that is done; the error's message and code go to stderr, the exit code is the error's.
 */
import type { OpsError } from "../../src/errors.ts";
import { closeRunners, runnerOf, sourceOf, type Texts } from "./redis-migrations-kit.ts";

const [url, files, waitMs = "60000"] = process.argv.slice(2) as [string, string, string?];
const runner = await runnerOf(url);
try {
  await runner.run(sourceOf(JSON.parse(files) as Texts[]), "up", {
    lockWaitMs: Number(waitMs),
    onDone: ({ file }) => process.stdout.write(`${file}\n`),
  });
} catch (error) {
  const { code, message, exitCode } = error as OpsError;
  process.stderr.write(`${code}: ${message}\n`);
  process.exitCode = exitCode;
}
await closeRunners();
