/** Vitest's global setup: the tests in test/cli run the built program, so it is built when it is older than its sources. */
import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..", "..");

/** Builds once; finding a fresh build costs a few milliseconds. */
export function setup(): void {
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
