/** What a script says about itself, in the comments before its first statement: `-- opsctl: no-transaction`. */
import { usageError } from "../../errors.ts";
import { suggest } from "../../suggest.ts";

const DIRECTIVES = ["no-transaction"];

/** How a line comment begins, by extension. */
const COMMENTS: Readonly<Record<string, string>> = { sql: "--", cypher: "//", redis: "#" };

export interface Header {
  noTransaction: boolean;
}

/**
 * A directive counts before the first statement only. One that is unknown or stands further down is refused: misspelt or misplaced it
 * would change nothing, and the file would run in a transaction without a word.
 * @param shown the file, for messages
 * @param firstLine number of lines of the file before `text`
 * @throws OpsError `usage`
 */
export function headerOf(shown: string, text: string, extension: string, firstLine = 0): Header {
  const comment = COMMENTS[extension]!;
  const header: Header = { noTransaction: false };
  // most files have none, and some are long
  if (!/opsctl\s*:/i.test(text)) return header;
  const directive = new RegExp(`^${comment}\\s*opsctl\\s*:(.*)$`, "i");
  const lines = text.split("\n");
  const { comments, end } = readHeader(lines, comment);
  for (const [index, line] of lines.entries()) {
    if (index < end && !comments.has(index)) continue;
    const words = directive.exec(index < end ? line.trim() : line)?.[1];
    if (words === undefined) continue;
    const place = `${shown}:${firstLine + index + 1}`;
    if (index >= end) {
      throw usageError(
        `${place}: a directive below the first statement has no effect`,
        "move it to the first lines",
      );
    }
    for (const word of words.split(/[\s,]+/).filter((part) => part !== "")) checkDirective(place, word);
    header.noTransaction = true;
  }
  return header;
}

function checkDirective(place: string, word: string): void {
  if (DIRECTIVES.includes(word)) return;
  throw usageError(
    `${place}: "${word}" is no directive of opsctl`,
    suggest(word, DIRECTIVES) ?? `there is one: ${DIRECTIVES.join(", ")}`,
  );
}

/** Line comments before the first statement, and the line where that begins. */
function readHeader(lines: readonly string[], comment: string): { comments: Set<number>; end: number } {
  const comments = new Set<number>();
  let inBlock = false;
  for (const [index, raw] of lines.entries()) {
    const line = raw.trim();
    if (inBlock) {
      inBlock = !line.includes("*/");
    } else if (comment !== "#" && line.startsWith("/*")) {
      const close = line.indexOf("*/", 2);
      if (close >= 0 && line.slice(close + 2).trim() !== "") return { comments, end: index };
      inBlock = close < 0;
    } else if (line.startsWith(comment)) {
      comments.add(index);
    } else if (line !== "") {
      return { comments, end: index };
    }
  }
  return { comments, end: lines.length };
}
