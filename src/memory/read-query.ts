import { visitTokens } from "./analyze.ts";
import { messageOf, shapeOf } from "./noise.ts";
import { kindOf, type LineKind, looksLogged, readLines } from "./noise-lines.ts";
import { maskValues } from "./noise-values.ts";
import { LINE_WEIGHTS } from "./tuning.ts";

/** What a query asks for. */
export interface ReadQuery {
  /** Distinct terms and what each counts. */
  weights: Map<string, number>;
  /** Tokens in order, one run for each line that is kept: pairs of words do not cross lines. */
  runs: string[][];
  /** Shape tokens of its telling lines. */
  shapes: string[];
  /** A log or a stack trace. */
  isNoisy: boolean;
  /** Lines that were read, blank ones not counted. */
  lines: number;
  /** Of these, lines that say what went wrong; of a plain query 0. */
  tellingLines: number;
  /** Lines that repeat an earlier one. */
  foldedLines: number;
  /** Bytes that were not read. */
  skippedBytes: number;
}

/** Lines that only logs and stack traces have: one in a single line, else two. */
const MIN_LOGGED_LINES = 2;
/** Characters of all lines whose words are read, the telling lines first: that bounds the time. */
const MAX_CHARACTERS = 40_000;
/** Shapes of one query. */
const MAX_SHAPES = 32;

interface Line {
  text: string;
  kind: LineKind;
}

/**
 * Reads a query. A plain one gives all its tokens. In a log or a stack trace values that change from one occurrence to the next are no words, repeated lines
 * count once, and a word counts by the best line it stands on. Bounded whatever comes: of a long text the start and the end are read.
 */
export function readQuery(text: string): ReadQuery {
  const { lines, skippedBytes } = readLines(text);
  const read = lines.map((line): Line => ({ text: line, kind: kindOf(line) }));
  return isLogged(read) ? readNoisy(read, skippedBytes) : readPlain(text, read, skippedBytes);
}

function isLogged(lines: readonly Line[]): boolean {
  let missing = Math.min(MIN_LOGGED_LINES, lines.length);
  for (const { text, kind } of lines) {
    if (looksLogged(text, kind)) missing -= 1;
    if (missing === 0) return true;
  }
  return false;
}

function readPlain(text: string, lines: readonly Line[], skippedBytes: number): ReadQuery {
  const start = text.slice(0, MAX_CHARACTERS);
  const words = new Words();
  const run = words.add(start, 1);
  return {
    weights: words.weights(),
    runs: run.length > 0 ? [run] : [],
    shapes: distinctShapes(lines.map(({ text: line, kind }) => ({ text: maskValues(line), kind }))),
    isNoisy: false,
    lines: lines.length,
    tellingLines: 0,
    foldedLines: 0,
    skippedBytes:
      start.length === text.length ? 0 : Math.max(skippedBytes, Buffer.byteLength(text.slice(start.length))),
  };
}

const ORDER: readonly LineKind[] = ["head", "own", "plain", "quiet", "framework"];

function readNoisy(lines: readonly Line[], skippedBytes: number): ReadQuery {
  const distinct = new Map<string, Line>();
  for (const { text, kind } of lines) {
    const masked = maskValues(text);
    const message = messageOf(masked);
    if (!distinct.has(message)) distinct.set(message, { text: masked, kind });
  }
  const kept = ORDER.flatMap((kind) => [...distinct.values()].filter((line) => line.kind === kind));
  const words = new Words();
  const runs: string[][] = [];
  let characters = 0;
  for (const { text, kind } of kept) {
    const part = text.slice(0, Math.max(0, MAX_CHARACTERS - characters));
    characters += part.length;
    const run = words.add(part, LINE_WEIGHTS[kind]);
    if (run.length > 1 && kind !== "quiet" && kind !== "framework") runs.push(run);
  }
  return {
    weights: words.weights(),
    runs,
    shapes: distinctShapes(kept),
    isNoisy: true,
    lines: lines.length,
    tellingLines: kept.filter(({ kind }) => kind === "head").length,
    foldedLines: lines.length - distinct.size,
    skippedBytes,
  };
}

/** Those of the lines that say what went wrong, else of all: frames and what stands around are shared by many errors. */
function distinctShapes(masked: readonly Line[]): string[] {
  const shapes = new Set<string>();
  const heads = masked.filter(({ kind }) => kind === "head");
  for (const { text, kind } of heads.length > 0 ? heads : masked) {
    if (shapes.size >= MAX_SHAPES) break;
    const shape = shapeOf(text, kind);
    if (shape !== undefined) shapes.add(shape);
  }
  return [...shapes];
}

/** Terms with how often they occur and the best weight that they were seen with. */
class Words {
  readonly #seen = new Map<string, { times: number; share: number; best: number }>();

  /** Counts the tokens of a text and returns them in order. */
  add(text: string, weight: number): string[] {
    const run: string[] = [];
    visitTokens(text, (token, share) => {
      run.push(token);
      const seen = this.#seen.get(token);
      if (seen === undefined) this.#seen.set(token, { times: 1, share, best: weight });
      else {
        seen.times += 1;
        seen.share = Math.max(seen.share, share);
        seen.best = Math.max(seen.best, weight);
      }
    });
    return run;
  }

  weights(): Map<string, number> {
    return new Map(
      [...this.#seen].map(([term, { times, share, best }]) => [term, share * best * (1 + Math.log(times))]),
    );
  }
}
