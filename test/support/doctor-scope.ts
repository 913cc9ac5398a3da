/** What the program gives its checks beside the engines, for the configuration of a sandbox, in this process: a start costs more than a check. */
import { App } from "../../src/app.ts";
import type { Globals } from "../../src/commands/command.ts";
import { stackScope } from "../../src/commands/doctor-scope.ts";
import { engineProbes } from "../../src/commands/probes.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Check, Found } from "../../src/health/doctor/check.ts";
import { stackGroups } from "../../src/health/doctor/checks/index.ts";
import type { StackScope } from "../../src/health/doctor/scope.ts";
import { probeAll } from "../../src/health/probes.ts";
import { createIo } from "../../src/output/io.ts";
import { testCall } from "./calls.ts";
import type { Sandbox } from "./cli.ts";

/** Time for a server to answer. One that is frozen takes the limit for connecting, which is less. */
const BUDGET_MS = 5_000;

export interface LookOptions {
  env?: Record<string, string>;
  /** Replaces what the program would know, for times and folders. */
  over?: Partial<StackScope>;
}

const io = createIo({ color: false, quiet: true, logLevel: "ERROR", redact: (text) => text });

/** Runs one check as `opsctl doctor ID` would, and returns what it finds. */
export async function look(box: Sandbox, id: string, options: LookOptions = {}): Promise<Found[]> {
  const check = stackGroups.flat().find((one) => one.id === id);
  if (!check) throw new Error(`there is no check ${id}`);
  return (await lookAll(box, [check], options)).map(({ found }) => found);
}

/** The same with several checks, on one scope. */
export async function lookAll(
  box: Sandbox,
  checks: readonly Check<StackScope>[],
  { env = {}, over }: LookOptions = {},
): Promise<{ id: string; found: Found }[]> {
  const globals: Globals = { color: false, input: false };
  const call = testCall();
  const config = await loadConfig(globals, box.env(env), box.cwd, call.signal);
  const app = new App(config, io);
  try {
    const reports = await probeAll(call, engineProbes(app), BUDGET_MS);
    const scope = stackScope({ app, call, io, globals, clearProgress: () => {} }, reports);
    const shared = { ...scope, ...over };
    const all: { id: string; found: Found }[] = [];
    for (const check of checks)
      all.push(...(await check.run(call, shared)).map((found) => ({ id: check.id, found })));
    return all;
  } finally {
    await app.close();
  }
}
