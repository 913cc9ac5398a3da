import { usageError } from "../errors.ts";
import { cursorOf, placeOf } from "../memory/cursor.ts";
import { digestOf } from "../memory/ids.ts";
import { type RecallPage, recall } from "../memory/recall.ts";
import { printTable } from "../output/table.ts";
import type { Context } from "./command.ts";
import { filterOf, noteOutdated, type Options } from "./recall.ts";
import { COLUMNS, printResults, searchLines } from "./recall-render.ts";
import { explainSearch, type Recalled, resultRow } from "./recall-rows.ts";

/** `recall QUERY`. */
export async function answerList(context: Context, text: string, options: Options) {
  const { app, call } = context;
  const filter = filterOf(options);
  // a page belongs to its question: of another one it would leave out the wrong results
  const question = digestOf([text, filter]);
  const page = options.after === undefined ? undefined : pageOf(options.after, question);
  const { results, next, search, degraded } = await recall(call, app.stores(), {
    text,
    limit: options.limit,
    filter,
    page,
  });
  noteOutdated(context, search);
  const rows = results.map((result) => resultRow(result, options.explain === true));
  const data: Recalled = {
    query: text,
    results: rows,
    count: rows.length,
    next: next && cursorOf("recall", { ...next, question }),
    explain: options.explain ? explainSearch(search) : null,
    degraded,
  };
  return {
    data,
    async render(io: Context["io"]) {
      if (io.stdoutIsTty || options.explain) await printResults(io, rows);
      else await printTable(io, COLUMNS, rows);
      if (data.explain) for (const line of searchLines(data.explain)) io.note(line);
      if (rows.length === 0 && degraded.length === 0)
        io.note("nothing known; store what helps with: opsctl remember");
    },
    degraded,
  };
}

function pageOf(cursor: string, question: string): RecallPage {
  const { question: asked, ...page } = placeOf("recall", cursor);
  if (asked !== question)
    throw usageError("--after: this cursor belongs to another query", "repeat QUERY and its filters");
  return page;
}
