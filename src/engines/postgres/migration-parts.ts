import type { Script } from "../../migrate/port.ts";
import { wrapper } from "./migration-check.ts";
import type { Sent } from "./migration-errors.ts";
import { copiedRows, type Piece, piecesOf } from "./split.ts";

/** What is sent at once. */
export interface Part {
  text: string;
  /** Where things stand in the script. */
  place: Omit<Sent, "statementAt">;
  /** Statements in front that are not the script's. */
  extra: number;
  /** Where its statements begin in the script, in order. */
  statementsAt: number[];
  /** The statements behind the script are in it. */
  hasEnd: boolean;
  isSingle: boolean;
  copiedRows: string | undefined;
}

/** One statement as a part of its own. The server is told that it is one, so that it cannot be two by a mistake of ours. */
export function singlePart(script: string, { text, offset, copy }: Piece): Part {
  return {
    text: copy ? script.slice(offset, copy.sqlEnd) : text,
    place: { base: offset, prefix: 0, rowsAt: copy?.start },
    extra: 0,
    statementsAt: [offset],
    hasEnd: false,
    isSingle: true,
    copiedRows: copy ? copiedRows(script, copy) : undefined,
  };
}

/**
 * What is left of a script, between statements of ours: as one text, which is one round trip; statement by statement where it holds rows for
 * COPY, or bodies whose semicolons are their own.
 */
export function partsOf(
  script: Script,
  from: number,
  beginning: readonly string[],
  end: readonly string[],
): Part[] {
  const pieces = piecesOf(script);
  const wanted = (wrapper(pieces) ? pieces.slice(1, -1) : pieces).slice(from);
  const whole = { extra: beginning.length, isSingle: false, copiedRows: undefined };
  const [start, stop] = [`${beginning.join("; ")};\n`, `\n; ${end.join("; ")}`];
  const place = { base: wanted[0]?.offset ?? 0, prefix: start.length };
  if (!wanted.some(({ copy, isAtomic }) => copy || isAtomic)) {
    const last = wanted.at(-1);
    const body = script.text.slice(place.base, last ? last.offset + last.text.length : place.base);
    const statementsAt = wanted.map(({ offset }) => offset);
    return [{ ...whole, text: `${start}${body}${stop}`, place, statementsAt, hasEnd: true }];
  }
  return [
    { ...whole, text: start, place, statementsAt: [], hasEnd: false },
    ...wanted.map((piece) => singlePart(script.text, piece)),
    { ...whole, text: stop, place, extra: 0, statementsAt: [], hasEnd: true },
  ];
}

/** How far the server is with the parts. */
export class Progress {
  #part: Part | undefined;
  #done = 0;

  enter(part: Part): void {
    this.#part = part;
    this.#done = -part.extra;
  }

  readonly advance = (): void => {
    this.#done += 1;
  };

  /** Whether the statements behind the script were sent. */
  get endIsSent(): boolean {
    return this.#part?.hasEnd === true;
  }

  /** How many of the statements behind the script are done; -1: the script itself is not. */
  get endDone(): number {
    const part = this.#part;
    return part?.hasEnd ? Math.max(-1, this.#done - part.statementsAt.length) : -1;
  }

  /** Null: not at a statement of the script. */
  get sent(): Sent | null {
    const part = this.#part;
    if (!part || this.endDone >= 0) return null;
    return { ...part.place, statementAt: part.statementsAt[Math.max(0, this.#done)] ?? null };
  }
}
