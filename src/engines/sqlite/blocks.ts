/**
 * Transactions that a script writes out itself. Files for golang-migrate are often wrapped in `BEGIN; … COMMIT;`; files of other tools that
 * run without a transaction have such blocks between their pragmas. A block is one statement to the runner: all of it or nothing.
 */
import type { Statement } from "../../migrate/port.ts";
import { firstWords, splitSql } from "./split.ts";

/** What ends or divides a transaction that is not its own: these have no place in a script. */
const CONTROL: ReadonlySet<string> = new Set(["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"]);

/** The word that makes a statement transaction control; undefined: it is none. */
export function controlWord(statement: Statement): string | undefined {
  const [word] = firstWords(statement.text, 1);
  return word !== undefined && CONTROL.has(word) ? word : undefined;
}

/** The statements of a script as they are run and counted: a whole block `BEGIN … COMMIT` is one. */
export function unitsOf(text: string): Statement[] {
  const units: Statement[] = [];
  let begin = -1;
  for (const statement of splitSql(text)) {
    const word = controlWord(statement);
    if (word === "BEGIN" && begin < 0) begin = units.length;
    units.push(statement);
    if (begin < 0 || (word !== "COMMIT" && word !== "END")) continue;
    const { offset } = units[begin]!;
    units.splice(begin, units.length, { text: text.slice(offset, endOf(statement)), offset });
    begin = -1;
  }
  return units;
}

function endOf({ offset, text }: Statement): number {
  return offset + text.length;
}

/** Whether a unit is a block. */
export function isBlock(unit: Statement): boolean {
  return controlWord(unit) === "BEGIN";
}

/** What a unit runs: itself, or the statements inside a block, which are placed as it is. */
export function statementsIn(unit: Statement): Statement[] {
  if (!isBlock(unit)) return [unit];
  return splitSql(unit.text)
    .slice(1, -1)
    .map(({ text, offset }) => ({ text, offset: offset + unit.offset }));
}
