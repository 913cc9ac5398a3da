/** Commands of the operator around a backup. */
import type { Readable } from "node:stream";
import type { Call } from "../call.ts";
import { OpsError, toOpsError, usageError } from "../errors.ts";

/** A longer line is cut: a program may print without an end. */
const LINE_CHARS = 2_000;

/**
 * Runs a command without a shell: words split on spaces, backslash escapes one. What it prints goes to the log, line by line. It ends with the
 * call.
 * @param field the setting that named it
 * @param environment added to that of opsctl
 * @throws OpsError `usage` when it is empty, `failed` when it cannot be run or ends with another code than 0, with the last line of its stderr;
 *   the call's reason
 */
export async function runHook(
  call: Call,
  field: string,
  command: string,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const [{ parseCommandString }, { startTool }] = await Promise.all([import("execa"), import("../child.ts")]);
  const [file, ...args] = parseCommandString(command);
  if (file === undefined) throw usageError(`${field} is empty`, "name a program, or unset it");
  const log = (line: string) => call.log("INFO", `${field}: ${line}`);
  log(`running ${file}`);
  const tool = startTool(call, file, args, { env: { ...environment } });
  try {
    for await (const line of linesOf(tool.stdout)) log(line);
  } catch {
    // a program that was ended closes its output early; `done` says why
  }
  try {
    const { stderr } = await tool.done;
    for (const line of stderr.split("\n")) if (line !== "") log(line);
  } catch (error) {
    const known = toOpsError(error);
    if (call.signal.aborted) throw known;
    throw new OpsError({
      code: "failed",
      message: `${field}: ${known.message}`,
      hint: `run it by hand: ${file} …`,
      cause: error,
    });
  }
}

async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.setEncoding("utf8") as AsyncIterable<string>) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!.slice(0, LINE_CHARS);
    for (const line of lines) if (line !== "") yield line.slice(0, LINE_CHARS);
  }
  if (rest !== "") yield rest;
}
