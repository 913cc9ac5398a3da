import { createInterface } from "node:readline/promises";

/** Asks on the terminal; the question goes to stderr, so that stdout stays data. */
export async function ask(question: string, signal: AbortSignal): Promise<string> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return await reader.question(question, { signal });
  } finally {
    reader.close();
  }
}
