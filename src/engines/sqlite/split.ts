import type { Statement } from "../../migrate/port.ts";
import { significantTokens } from "./tokens.ts";

/** First words of a statement that tell a trigger: `EXPLAIN QUERY PLAN CREATE TEMPORARY TRIGGER`. */
const HEAD_WORDS = 6;
const TRIGGER = /^(EXPLAIN (QUERY PLAN )?)?CREATE (TEMP |TEMPORARY )?TRIGGER( |$)/;

/**
 * Splits a script into statements. One ends at `;` outside quotes and comments, a trigger at the first `;` behind `; END`: the rule of
 * sqlite3_complete(). Counting BEGIN, CASE and END would fail where columns have such names, which SQLite allows.
 */
export function splitSql(text: string): Statement[] {
  const statements: Statement[] = [];
  let start = -1;
  let end = 0;
  let head: string[] = [];
  /** The last two tokens, upper case. */
  let last: [string, string] = ["", ""];
  const finish = () => {
    if (start >= 0) statements.push({ text: text.slice(start, end), offset: start });
    start = -1;
    head = [];
  };
  for (const token of significantTokens(text)) {
    const upper = token.kind === "quoted" ? "" : text.slice(token.start, token.end).toUpperCase();
    if (token.kind === "semicolon") {
      const isInside = isTrigger(head) && !(last[0] === ";" && last[1] === "END");
      last = [last[1], ";"];
      if (!isInside) finish();
      continue;
    }
    if (start < 0) start = token.start;
    end = token.end;
    if (head.length < HEAD_WORDS) head.push(upper);
    last = [last[1], upper];
  }
  finish();
  return statements;
}

function isTrigger(head: readonly string[]): boolean {
  return TRIGGER.test(head.join(" "));
}

/** The first words of a statement, upper case: `["CREATE", "TABLE", …]`; at most `count`. */
export function firstWords(statement: string, count: number): string[] {
  const words: string[] = [];
  for (const { kind, start, end } of significantTokens(statement)) {
    if (kind !== "word" || words.length === count) break;
    words.push(statement.slice(start, end).toUpperCase());
  }
  return words;
}
