/** Vitest's global setup: the built program, which the tests in test/cli run, is as new as its sources; and what starts Node again starts it quickly. */
import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");

/** Builds once; finding a fresh build costs a few milliseconds. */
export function setup(): void {
  // processes that run TypeScript of ours find its types stripped: two thirds of what such a start costs
  process.env["NODE_COMPILE_CACHE"] ??= join(tmpdir(), "node-compile-cache");
  const built = statSync(join(ROOT, "dist", "main.cjs"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (built > newestSource()) return;
  execFileSync(process.execPath, [join(ROOT, "scripts", "build.ts")], { cwd: ROOT, stdio: "inherit" });
}

function newestSource(): number {
  const sources = readdirSync(join(ROOT, "src"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const all = [...sources, join(ROOT, "scripts", "build.ts"), join(ROOT, "package.json")];
  return Math.max(...all.map((path) => statSync(path).mtimeMs));
}
