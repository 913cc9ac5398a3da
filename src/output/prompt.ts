import { createInterface } from "node:readline/promises";
import { OpsError } from "../errors.ts";

/**
 * Asks on the terminal; the question goes to stderr, so that stdout stays data.
 * @throws OpsError `interrupted` for Ctrl-C, which the terminal hands to the question and not to the process
 */
export async function ask(question: string, signal: AbortSignal): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await reader.question(question, { signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new OpsError({
      code: "interrupted",
      message: "not confirmed; nothing was changed",
      hint: "answer the question, or give --yes",
      cause: error,
    });
  } finally {
    reader.close();
  }
}
