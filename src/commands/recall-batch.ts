import { type EngineName, OpsError, usageError } from "../errors.ts";
import { recall } from "../memory/recall.ts";
import type { Context } from "./command.ts";
import { readLines } from "./lines.ts";
import { filterOf, noteOutdated, type Options } from "./recall.ts";
import { explainSearch, resultRow } from "./recall-rows.ts";

/** `recall --batch`. Streams: one answer a line, in the order of the questions; a line that cannot be read ends it with its number. */
export async function answerAll(context: Context, file: string, options: Options): Promise<undefined> {
  const { app, call, io } = context;
  const isExplained = options.explain === true;
  const missing = new Map<EngineName, string>();
  let number = 0;
  let isNoted = false;
  for await (const line of readLines(call, file, "--batch")) {
    number += 1;
    if (typeof line !== "string") throw usageError(`--batch: line ${number} is ${line.defect}`);
    if (line.trim() === "") continue;
    const { id, query } = parseQuestion(line, number);
    const { results, search, degraded } = await recall(call, app.stores(), {
      text: query,
      limit: options.limit,
      filter: filterOf(options),
    });
    if (!isNoted) noteOutdated(context, search);
    isNoted = true;
    const answer = {
      id,
      results: results.map((result) => resultRow(result, isExplained)),
      explain: isExplained ? explainSearch(search) : null,
      degraded,
    };
    await io.out(`${JSON.stringify(answer)}\n`);
    for (const { engine, message } of degraded) {
      if (!missing.has(engine)) io.note(`${engine} is missing here: ${message}`, "warning:");
      missing.set(engine, message);
    }
  }
  if (missing.size > 0 && options.strict) {
    throw new OpsError({ code: "partial", message: `${[...missing.keys()].join(" and ")} could not answer` });
  }
}

function parseQuestion(line: string, number: number): { id: unknown; query: string } {
  let question: { id?: unknown; query?: unknown };
  try {
    question = JSON.parse(line);
  } catch {
    throw usageError(`--batch: line ${number} is not valid JSON`);
  }
  if (typeof question?.query !== "string") throw usageError(`--batch: line ${number} has no text "query"`);
  return { id: question.id ?? number, query: question.query };
}
