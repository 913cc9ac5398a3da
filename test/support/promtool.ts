/** Prometheus' own checker of metrics and rules. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findPromtool } from "../../scripts/services/tools.ts";
import { collect, type Ran } from "./cli.ts";

/** Runs promtool; what is missing is an error: a test never skips itself. */
async function promtool(args: readonly string[], input = ""): Promise<Ran> {
  const program = findPromtool();
  if (program === undefined) throw new Error("promtool is not here: run `npm test`, which gets it");
  const child = spawn(program, args);
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  return collect(child);
}

/** What `promtool check metrics` says against a text: nothing, when it parses and keeps the conventions. */
export async function metricsProblems(text: string): Promise<string> {
  const { code, stdout, stderr } = await promtool(["check", "metrics"], text);
  return code === 0 ? "" : `exit ${code}\n${stdout}${stderr}`;
}

/**
 * Runs `promtool check rules`, or with `tests` `promtool test rules`, on the text of a rules file.
 * @param tests the object of a test file without its `rule_files`
 */
export async function rulesProblems(rules: string, tests?: object): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "opsctl-rules-"));
  try {
    const [file, testFile] = [join(dir, "rules.yml"), join(dir, "tests.yml")];
    writeFileSync(file, rules);
    // JSON is YAML
    writeFileSync(testFile, JSON.stringify({ rule_files: [file], ...tests }));
    const { code, stdout, stderr } = await promtool(
      tests === undefined ? ["check", "rules", file] : ["test", "rules", testFile],
    );
    return code === 0 ? "" : `exit ${code}\n${stdout}${stderr}`;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The values of an exposition by their whole name: `opsctl_up{engine="redis"}`. */
export function valuesOf(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}
