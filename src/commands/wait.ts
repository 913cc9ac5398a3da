import type { Command } from "commander";
import type * as v from "valibot";
import type { waited } from "../contract/doctor.ts";
import { OpsError } from "../errors.ts";
import { waitFor } from "../health/wait.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Context, Run } from "./command.ts";
import { engineNames, requireConfigured } from "./engines.ts";
import { engineProbes } from "./probes.ts";

type Answer = v.InferOutput<typeof waited>;

const TIMEOUT_MS = 60_000;
/** Kept of --timeout, so that the answer comes before the command is ended. */
const RESERVE_MS = 100;

export function define(command: Command, run: Run): void {
  command
    .argument("[engines...]", "neo4j, postgres, redis, sqlite or all (default: all that are configured)")
    .addHelpText(
      "after",
      `
Waits until each of them answers a real query; --timeout says how long (default: 60s). Exit code 20 when the time is over, with
what is missing. A refused password is tried again every 6 s only.

Example:
  opsctl wait --timeout 90s && opsctl init --yes`,
    )
    .action(run(wait));
}

async function wait(context: Context, given: string[]) {
  const { app, call, globals } = context;
  const names = engineNames(given, app.configured());
  for (const name of names) requireConfigured(context, name);
  const timeoutMs = globals.timeout === undefined ? TIMEOUT_MS : Math.max(1, call.remainingMs() - RESERVE_MS);
  const startedAt = performance.now();
  const engines = await waitFor(call, engineProbes(app, names), timeoutMs);
  const missing = engines.filter(({ ready }) => !ready);
  const data: Answer = {
    ready: missing.length === 0,
    duration_ms: Math.round(performance.now() - startedAt),
    engines,
  };
  return {
    data,
    render: (io: Io) => printTable(io, COLUMNS, engines),
    failure: missing.length === 0 ? undefined : lacking(missing, globals.timeout ?? TIMEOUT_MS),
  };
}

function lacking(missing: Answer["engines"], timeoutMs: number): OpsError {
  const reasons = missing.map(({ engine, message }) => `${engine} (${message ?? "no answer"})`);
  return new OpsError({
    code: "unreachable",
    message: `not ready within ${Math.round(timeoutMs / 100) / 10} s: ${reasons.join("; ")}`,
    hint: `opsctl doctor connection, or a longer --timeout`,
  });
}

/** Columns of `wait`: engine, state, version or why not, seconds until it answered. */
const COLUMNS: readonly Column<Answer["engines"][number]>[] = [
  { header: "ENGINE", value: ({ engine }) => engine },
  {
    header: "STATE",
    value: ({ ready }) => (ready ? "ready" : "missing"),
    style: ({ ready }) => (ready ? "green" : "red"),
  },
  { header: "DETAIL", value: ({ version, message }) => version ?? message, flexible: true },
  {
    header: "AFTER",
    value: ({ duration_ms: took }) => (took === null ? null : (took / 1000).toFixed(1)),
    shown: ({ duration_ms: took }) => (took === null ? "" : `${(took / 1000).toFixed(1)} s`),
    align: "right",
  },
];
