/** The rows of a table in a dump: text as COPY writes it, in pieces with their lengths. */
import { type Feed, INT_BYTES } from "./backup-feed.ts";

/** What ends the rows of a table, `\.` and three line ends, as one number. */
export const END_OF_ROWS = 0x5c2e0a0a0a;
/** Lines of it. */
export const END_LINES = 3;
const END_BYTES = 5;
const LINE_END = 10;

/** Lines that have passed, and the last five bytes as one number. */
interface Passed {
  lines: number;
  last: number;
}

/** Passes the pieces that lie in the chunk as a whole: a piece is a row, and a call of a generator for each would take most of the time. */
export function passPieces(feed: Feed, passed: Passed): void {
  const { chunk } = feed;
  for (;;) {
    const { at } = feed;
    if (at + INT_BYTES >= chunk.length || chunk[at] !== 0) return;
    const length =
      chunk[at + 1]! + chunk[at + 2]! * 0x100 + chunk[at + 3]! * 0x10000 + chunk[at + 4]! * 0x1000000;
    const from = at + INT_BYTES;
    if (length === 0 || from + length > chunk.length) return;
    countLines(chunk, from, from + length, passed);
    feed.at = from + length;
  }
}

/** Counts the line ends from `from` until before `end`. */
export function countLines(chunk: Buffer, from: number, end: number, passed: Passed): void {
  for (let at = from; at < end; at++) {
    at = chunk.indexOf(LINE_END, at);
    if (at === -1 || at >= end) break;
    passed.lines++;
  }
  if (end - from >= END_BYTES) {
    passed.last =
      chunk[end - 5]! * 0x1_0000_0000 +
      (chunk[end - 4]! * 0x100_0000 + chunk[end - 3]! * 0x1_0000 + chunk[end - 2]! * 0x100 + chunk[end - 1]!);
  } else {
    for (let at = from; at < end; at++) passed.last = (passed.last * 256 + chunk[at]!) % 2 ** 40;
  }
}
