/** Places in a script, as an editor shows them. */

/** Longest part of a line that is shown. */
const WIDTH = 120;

/** 1-based line and column of an offset in UTF-16 units. */
export function placeAt(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: [...before.slice(lineStart)].length + 1 };
}

/**
 * `FILE:LINE:COLUMN: what`, then the line with a caret under the place:
 *
 *     V003-x-up.sql:4:8: syntax error at or near "TABEL" (SQLSTATE 42601)
 *       4 | CREATE TABEL x (id int)
 *         |        ^
 */
export function placedMessage(file: string, text: string, offset: number, what: string): string {
  const { line, column } = placeAt(text, offset);
  const whole = text.split("\n")[line - 1] ?? "";
  const characters = [...whole.replaceAll("\t", " ")];
  const from = Math.max(0, Math.min(column - WIDTH / 2, characters.length - WIDTH));
  const shown = characters.slice(from, from + WIDTH).join("");
  const label = String(line);
  const caret = " ".repeat(column - 1 - from);
  return `${file}:${line}:${column}: ${what}\n  ${label} | ${shown}\n  ${" ".repeat(label.length)} | ${caret}^`;
}
