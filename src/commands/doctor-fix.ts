/** `doctor --fix`: the commands of findings that may run by themselves. */
import { type Call, throwIfAborted } from "../call.ts";
import { toOpsError } from "../errors.ts";
import type { Remedy } from "../health/doctor/check.ts";
import type { Finding } from "../health/doctor/run.ts";
import type { Globals } from "./command.ts";

export interface RemedyResult {
  result: "done" | "failed";
  error: string | null;
}

/** By the words of the command: several findings may name the same one, which then runs once. */
export type RemedyResults = Map<string, RemedyResult>;

export const keyOf = (argv: readonly string[]): string => argv.join("\0");

/** The safe commands, each once, in the order of the findings. What comes after an unsafe one of its finding waits for it. */
export function safeRemedies(findings: readonly Finding[]): Remedy[] {
  const found = new Map<string, Remedy>();
  for (const { remedies } of findings) {
    for (const remedy of remedies) {
      if (!remedy.safe) break;
      found.set(keyOf(remedy.argv), remedy);
    }
  }
  return [...found.values()];
}

/**
 * Runs them one after another; one that fails does not stop the others.
 * @throws OpsError only when the call is interrupted
 */
export async function runRemedies(
  call: Call,
  remedies: readonly Remedy[],
  globals: Globals,
): Promise<RemedyResults> {
  const results: RemedyResults = new Map();
  for (const [nth, { argv }] of remedies.entries()) {
    call.progress({ label: argv.join(" "), done: nth, total: remedies.length, unit: "statements" });
    results.set(keyOf(argv), await runRemedy(call, argv, globals));
  }
  return results;
}

async function runRemedy(call: Call, argv: readonly string[], globals: Globals): Promise<RemedyResult> {
  const [file, ...args] = completed(argv, globals);
  const isOwn = file === "opsctl";
  try {
    const { readTool } = await import("../child.ts");
    await readTool(
      call,
      isOwn ? process.execPath : file!,
      isOwn ? [process.argv[1]!, "--no-input", ...args] : args,
    );
    return { result: "done", error: null };
  } catch (error) {
    throwIfAborted(call);
    return { result: "failed", error: toOpsError(error).message };
  }
}

/** A command of this program with the configuration of this run: without it, it might go to another server. */
export function completed(argv: readonly string[], { config, profile }: Globals): string[] {
  const [file, ...args] = argv;
  if (file !== "opsctl") return [...argv];
  return [
    file,
    ...(config === undefined ? [] : ["--config", config]),
    ...(profile === undefined ? [] : ["--profile", profile]),
    ...args,
  ];
}
