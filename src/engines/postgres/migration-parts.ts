import type { Step } from "../../migrate/port.ts";
import { wrapper } from "./migration-check.ts";
import type { Sent } from "./migration-errors.ts";
import { copiedRows, type Piece, piecesOf } from "./split.ts";

/** What is sent at once. */
export interface Part {
  text: string;
  /** Where things stand in the script. */
  sent: Omit<Sent, "statementAt">;
  /** Statements in front that are not the script's. */
  extra: number;
  /** Where its statements begin in the script, in order. */
  statementsAt: number[];
  isSingle: boolean;
  copiedRows: string | undefined;
}

/** One statement as a part of its own. The server is told that it is one, so that it cannot be two by a mistake of ours. */
export function singlePart(script: string, { text, offset, copy }: Piece): Part {
  return {
    text: copy ? script.slice(offset, copy.sqlEnd) : text,
    sent: { base: offset, prefix: 0, rowsAt: copy?.start },
    extra: 0,
    statementsAt: [offset],
    isSingle: true,
    copiedRows: copy ? copiedRows(script, copy) : undefined,
  };
}

/**
 * A script with the statements that begin its transaction: as one text, which is one round trip; statement by statement where it holds
 * rows for COPY, or bodies whose semicolons are their own.
 */
export function partsOf({ script, from }: Step, beginning: readonly string[]): Part[] {
  const pieces = piecesOf(script);
  const frame = wrapper(pieces);
  const all = frame ? pieces.slice(1, -1) : pieces;
  const wanted = all.slice(from);
  const start = `${beginning.join("; ")};`;
  const first = { extra: beginning.length, isSingle: false, copiedRows: undefined };
  if (wanted.length === 0 || wanted.some(({ copy, isAtomic }) => copy || isAtomic)) {
    const sent = { base: 0, prefix: start.length };
    const begin: Part = { ...first, text: start, sent, statementsAt: [] };
    return [begin, ...wanted.map((piece) => singlePart(script.text, piece))];
  }
  const base = wanted[0]!.offset;
  const last = wanted.at(-1)!;
  const body = script.text.slice(base, last.offset + last.text.length);
  const statementsAt = wanted.map(({ offset }) => offset);
  return [{ ...first, text: `${start}\n${body}`, sent: { base, prefix: start.length + 1 }, statementsAt }];
}
