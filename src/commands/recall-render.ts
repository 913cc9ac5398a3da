/** How a person reads what recall found. */
import { tokenize } from "../memory/analyze.ts";
import { markWords } from "../memory/highlight.ts";
import { escapeCell } from "../output/escape.ts";
import { age, outcome, percent } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import type { Column } from "../output/table.ts";
import type { Explanation, Row } from "./recall-rows.ts";
import { outcomeWord } from "./rows.ts";

/** Columns in a pipe. Only ever added at the end. */
export const COLUMNS: readonly Column<Row>[] = [
  { header: "key", value: (row) => row.key },
  { header: "what was done", value: (row) => row.content },
  { header: "outcome", value: (row) => outcomeWord(row.success) },
  { header: "seen", value: (row) => row.occurrences },
  { header: "last", value: (row) => row.last_seen },
  { header: "score", value: (row) => row.score },
  { header: "id", value: (row) => row.id },
  { header: "why", value: (row) => row.matched.join(" ") },
];

/** Lines of one result's text. */
const TEXT_LINES = 2;

/** For a terminal: a few lines a result, the words that the query asked for in bold. */
export async function printResults(io: Io, rows: readonly Row[]): Promise<void> {
  const width = io.columns ?? 100;
  const blocks = rows.map((row) => block(io, row, width).join("\n"));
  if (blocks.length > 0) await io.out(`${blocks.join("\n\n")}\n`);
}

function block(io: Io, row: Row, width: number): string[] {
  const style = row.success === null ? "dim" : row.success ? "green" : "red";
  const terms = row.matched.flatMap((word) => tokenize(word));
  const mark = (text: string) => markWords(escapeCell(text), terms, (word) => io.style("bold", word));
  const sign = io.style(style, `${outcome(row.success)} ${outcomeWord(row.success)}`);
  const last = `last ${age(Date.now() - row.last_seen_ms)} ago`;
  const facts = [`${howOften(row)}, ${last}`, `why: ${reason(row)}`, `id ${row.id}`];
  return [
    `${sign}  ${mark(row.key)}`,
    ...wrap(row.content, width - 2, TEXT_LINES).map((line) => `  ${mark(line)}`),
    ...packed(facts, width - 2).map((line) => `  ${io.style("dim", line)}`),
    ...(row.explain ? explainLines(row).map((line) => `  ${line}`) : []),
  ];
}

function reason({ match, matched }: Row): string {
  const key = match === "key" ? ["its key"] : match === "prefix" ? ["its key starts so"] : [];
  return [...key, ...(matched.length > 0 ? [matched.join(" ")] : [])].join("; ");
}

export const timesSeen = ({ occurrences }: Pick<Row, "occurrences">) =>
  occurrences === 1 ? "seen once" : `seen ${occurrences} times`;

/** `seen 6 times, worked 5 of 6`. */
function howOften({
  occurrences,
  successes,
  failures,
}: Pick<Row, "occurrences" | "successes" | "failures">): string {
  const known = successes + failures;
  const seen = timesSeen({ occurrences });
  return known < 2 ? seen : `${seen}, worked ${successes} of ${known}`;
}

function explainLines({ score, explain }: Row): string[] {
  if (!explain) return [];
  const { signals, success } = explain;
  const lines = [
    `score ${score}`,
    ...signals.map(
      ({ name, raw, weight, share }) =>
        `  ${name.padEnd(9)} ${share.toFixed(6).padStart(9)}  of ${weight} (raw ${raw.toFixed(3)})`,
    ),
  ];
  const interval =
    success.rate === null
      ? "no outcome is known"
      : `${percent(success.rate)} worked, 95 % interval ${percent(success.low)} to ${percent(success.high)}`;
  lines.push(
    `  success   ${success.share.toFixed(6).padStart(9)}  × ${success.multiplier.toFixed(3)} (${interval})`,
  );
  return lines;
}

/** What was searched for, and what not. */
export function searchLines(search: Explanation): string[] {
  const terms = (list: Explanation["searched"]) =>
    list.map(({ term, records }) => `${term} (${records.toLocaleString("en")})`).join(" ");
  const lines = [
    `searched in ${search.documents.toLocaleString("en")} records: ${terms(search.searched) || "nothing"}`,
  ];
  if (search.shapes > 0) lines.push(`and ${search.shapes} shapes of lines, their values left out`);
  if (search.together.length > 0)
    lines.push(`too common alone, so together: ${search.together.map((group) => group.join("+")).join(" ")}`);
  if (search.not_searched.length > 0)
    lines.push(`too common, or too many, to be searched: ${terms(search.not_searched)}`);
  for (const { word, by } of search.replaced)
    lines.push(`nothing has ${word}: taken for ${by.map(({ term }) => term).join(", ")}`);
  if (search.noisy)
    lines.push(
      `read as a log: ${search.folded_lines} repeated lines folded, ${search.skipped_bytes} bytes not read`,
    );
  if (search.cut)
    lines.push(
      `cut: not every record with one of these words was looked at (at most ${search.row_budget.toLocaleString("en")} rows)`,
    );
  return lines;
}

/** At most `limit` lines of a text, broken at spaces; what is longer ends with `…`. */
function wrap(text: string, width: number, limit: number): string[] {
  const lines = [""];
  for (const word of text.trim().split(/\s+/)) {
    const joined = lines.at(-1) === "" ? word : `${lines.at(-1)} ${word}`;
    if (joined.length <= width || lines.at(-1) === "") lines[lines.length - 1] = joined;
    else if (lines.push(word) > limit) break;
  }
  const shown = lines.slice(0, limit).map((line) => line.slice(0, width));
  if (lines.length > limit) shown[limit - 1] = `${shown[limit - 1]!.slice(0, width - 1)}…`;
  return shown;
}

/** Facts on as few lines as they fit. */
function packed(facts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  for (const fact of facts) {
    const last = lines.at(-1);
    if (last !== undefined && `${last} · ${fact}`.length <= width)
      lines[lines.length - 1] = `${last} · ${fact}`;
    else lines.push(fact);
  }
  return lines.map((line) => escapeCell(line));
}
