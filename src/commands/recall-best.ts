import type * as v from "valibot";
import type { bestFix } from "../contract/recall.ts";
import { bestOf } from "../memory/best.ts";
import { recall } from "../memory/recall.ts";
import { BEST_THRESHOLD } from "../memory/tuning.ts";
import { escapeText } from "../output/escape.ts";
import { age } from "../output/human.ts";
import type { Context } from "./command.ts";
import { filterOf, noteOutdated, type Options } from "./recall.ts";
import { searchLines, timesSeen } from "./recall-render.ts";
import { explainSearch, type Row, resultRow } from "./recall-rows.ts";

type BestFix = v.InferOutput<typeof bestFix>;

/** Results that may hold the answer: the fixes of the first issue, and what it must be ahead of. */
const CONSIDERED = 20;

/** `recall --best`: the fix on stdout, in plain words; nothing there, and exit code 4, when none is convincing. */
export async function answerBest(context: Context, text: string, options: Options) {
  const { app, call } = context;
  const { results, search, degraded } = await recall(call, app.stores(), {
    text,
    limit: CONSIDERED,
    filter: filterOf(options),
  });
  noteOutdated(context, search);
  const { result, confidence, failed } = bestOf(search, results);
  const row = (one: (typeof results)[number]) => resultRow(one, options.explain === true);
  const data: BestFix = {
    query: text,
    best: result && row(result),
    why: whyOf(result !== null, confidence, failed.length),
    confidence: confidence === null ? null : Math.round(confidence * 1000) / 1000,
    threshold: BEST_THRESHOLD,
    failed: failed.map(row),
    explain: options.explain ? explainSearch(search) : null,
    degraded,
  };
  return {
    data,
    async render(io: Context["io"]) {
      if (data.best) await io.out(`${escapeText(inWords(data.best, data.failed))}\n`);
      else io.note(nothing(data, results[0] && row(results[0])));
      if (data.explain) for (const line of searchLines(data.explain)) io.note(line);
    },
    code: data.best ? undefined : ("no" as const),
    degraded,
  };
}

function whyOf(isFound: boolean, confidence: number | null, failed: number): BestFix["why"] {
  if (isFound) return "convincing";
  if (confidence === null) return "nothing_known";
  return failed > 0 ? "only_failed" : "not_convincing";
}

/** What to do first, then why it should help. */
function inWords(best: Row, failed: readonly Row[]): string {
  const who = [best.agent, best.server].filter((part) => part !== null).join(" on ");
  const seen = `${timesSeen(best)}, last ${age(Date.now() - best.last_seen_ms)} ago${who === "" ? "" : ` (${who})`}`;
  const tried = failed.map(({ content }) => `Did not work: ${oneLine(content)}`);
  return [best.content.trim(), "", `For ${best.key}: ${outcomeInWords(best)}; ${seen}.`, ...tried].join("\n");
}

function outcomeInWords({ successes, failures, success }: Row): string {
  const known = successes + failures;
  if (known === 0) return "nobody noted whether it worked";
  const last = success === false ? ", but not the last time" : "";
  return `${known === 1 ? "it worked" : `it worked ${successes} of ${known} times`}${last}`;
}

const oneLine = (text: string) => {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > 200 ? `${line.slice(0, 199)}…` : line;
};

function nothing({ why, failed, confidence, threshold }: BestFix, nearest: Row | undefined): string {
  if (why === "nothing_known") return "nothing known; store what helps with: opsctl remember";
  if (why === "only_failed")
    return `known, but nothing that was tried works: ${failed.map(({ content }) => oneLine(content)).join("; ")}`;
  return `nothing convincing is known (${confidence} of ${threshold}); nearest: ${nearest!.key}. Try: opsctl recall without --best`;
}
