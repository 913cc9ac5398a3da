/** A process that keeps the index of a file up: `index-runner.ts FILE rebuild|renew`; it prints a line for each step. */
import { createCall } from "../../src/call.ts";
import { rebuildIndex } from "../../src/engines/sqlite/index-rebuild.ts";
import { renewIndex } from "../../src/engines/sqlite/index-renewal.ts";

const [path, kind] = process.argv.slice(2) as [string, string];
const call = createCall({
  actor: "tester@host",
  signal: new AbortController().signal,
  progress({ done, unit }) {
    // migrations count statements
    if (unit === "rows") process.stdout.write(`${done}\n`);
  },
});
await (kind === "rebuild" ? rebuildIndex : renewIndex)(call, { path, foreign: false });
