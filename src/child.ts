import { execa, parseCommandString } from "execa";
import { abortError } from "./call.ts";
import { OpsError } from "./errors.ts";

/**
 * Runs a command line without a shell (words split on spaces, backslash escapes one) and collects its output.
 * @param field the setting that named the command, for the message
 * @throws OpsError `usage` when it cannot start, fails or takes longer than `timeoutMs`; stdout is never in the message,
 *   because it may hold the secret
 */
export async function runTool(
  field: string,
  command: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ stdout: string }> {
  const [file, ...args] = parseCommandString(command);
  if (file === undefined) throw new OpsError({ code: "usage", message: `${field} is empty` });
  const result = await execa(file, args, {
    stdin: "ignore",
    timeout: timeoutMs,
    cancelSignal: signal,
    maxBuffer: 1 << 20,
    reject: false,
    stripFinalNewline: false,
  });
  if (signal?.aborted) throw abortError(signal.reason);
  if (result.failed) {
    const why = result.timedOut
      ? `took longer than ${timeoutMs / 1000} s`
      : result.exitCode === undefined
        ? "could not be run"
        : `ended with code ${result.exitCode}`;
    throw new OpsError({
      code: "usage",
      message: `${field}: ${file} ${why}`,
      hint: `run it by hand: ${file} …`,
    });
  }
  return { stdout: result.stdout };
}
