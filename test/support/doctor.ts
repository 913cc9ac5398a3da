/** Plants, finds, mends and looks again: what a test of a doctor's check does. */
import { spawn } from "node:child_process";
import type { Found } from "../../src/health/doctor/check.ts";
import { collect, type Sandbox } from "./cli.ts";

/**
 * Runs the commands that a finding names, as an operator would: the built program for `opsctl …`, else the program of that name. Every one
 * must succeed, and there must be one.
 */
export async function mend(sandbox: Sandbox, env: Record<string, string>, found: Found): Promise<void> {
  if (found.remedies.length === 0) throw new Error(`nothing mends ${found.subject}: ${found.advice}`);
  for (const { argv } of found.remedies) {
    const [program, ...args] = argv;
    const ran =
      program === "opsctl"
        ? await sandbox.run(args, { env })
        : await collect(spawn(program!, args, { cwd: sandbox.cwd, env: sandbox.env(env) }));
    if (ran.code !== 0) throw new Error(`${argv.join(" ")}: exit ${ran.code}\n${ran.stdout}${ran.stderr}`);
  }
}
