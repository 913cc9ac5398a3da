/** What changes from one occurrence of an error to the next, and what stays. */
import { hash } from "node:crypto";
import { kindOf, type LineKind, readLines } from "./noise-lines.ts";
import { maskValues, PLACEHOLDER } from "./noise-values.ts";

/** Begins every shape and no word: the analyzer keeps it out of texts. */
export const SHAPE_PREFIX = "__s_";
/** Shapes of one record that are kept. */
const MAX_SHAPES = 32;
/** Characters of a masked line that its shape is made of. */
const SHAPE_CHARACTERS = 400;
/** A shape needs two words of three letters, and these letters together: `at #` or `took # ms` say nothing. */
const MIN_SHAPE_WORDS = 2;
const MIN_SHAPE_LETTERS = 12;

/** What is not ASCII belongs to words: cheap, and the same on every machine. */
const WORDS = /[a-z0-9_\u0080-\uffff]+|#/g;
const LETTERS = /[a-z\u0080-\uffff]{3,}/g;

/** What a logger writes before the message, once masked: time, host and program, level, thread, name of the logger. */
const PREFIXES = [
  // syslog: time host program[pid]:
  /^#\s+[\w.#-]{1,80}\s+[\w./#-]{1,80}(?:\[#\])?:\s+/,
  // Redis: pid:role time level
  /^#:[XCSM] [#\s.*-]{1,20}/,
  // after a time, anything up to the level; or the level at once
  /^(?:\W{0,3}#.{0,100}?\b|\W{0,3})(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL|SEVERE|PANIC|LOG)\b[\]|:)"', -]*/,
  // glog: thread file:line]
  /^#\s+#\s+[\w.-]{1,80}:#\] /,
  // pid, thread, logger
  /^(?:#\s+)?(?:---\s+)?(?:\[[^\]]{0,80}\]\s*)+(?:[\w.$#]{1,80}(?:\[[^\]]{0,40}\])?\s*(?:-|:)\s+)?/,
  /^[\w.$#]{1,80}\s+-\s+/,
];

/**
 * Shapes of a text: for each line that tells something and holds values which change (times, addresses, ids, numbers, paths), one token of
 * the line with these values as placeholders, so that the same error with other values has the same shape. Lines of what went wrong first; each shape once. Tokens match
 * `__s_[0-9a-f]{16}`: no word looks so. They are stored: what makes them may change only together with INDEX_VERSION.
 */
export function shapesOf(text: string): string[] {
  if (!/[0-9@\\/]/.test(text)) return [];
  const heads = new Set<string>();
  const others = new Set<string>();
  for (const line of readLines(text).lines) {
    const masked = maskValues(line);
    if (masked === line) continue;
    const kind = kindOf(line);
    const shapes = kind === "head" ? heads : others;
    if (shapes.size >= MAX_SHAPES) continue;
    const shape = shapeOf(masked, kind);
    if (shape !== undefined) shapes.add(shape);
  }
  return [...new Set([...heads, ...others])].slice(0, MAX_SHAPES);
}

/** The shape of a line whose values are masked; undefined when it has too few words, or is of a kind that says nothing. */
export function shapeOf(masked: string, kind: LineKind): string | undefined {
  if (kind === "quiet" || kind === "framework" || !masked.includes(PLACEHOLDER)) return undefined;
  const words = messageOf(masked);
  const telling = words.match(LETTERS) ?? [];
  if (telling.length < MIN_SHAPE_WORDS) return undefined;
  if (telling.reduce((letters, word) => letters + word.length, 0) < MIN_SHAPE_LETTERS) return undefined;
  return `${SHAPE_PREFIX}${hash("sha256", words, "hex").slice(0, 16)}`;
}

/** Words and placeholders of a masked line in lower case, without what the logger put before the message: the same for lines that are repeated. */
export function messageOf(masked: string): string {
  let message = masked.slice(0, SHAPE_CHARACTERS).trimStart();
  for (const prefix of PREFIXES) message = message.replace(prefix, "");
  const words = message.toLowerCase().match(WORDS) ?? [];
  return words
    .filter((word, index) => word !== PLACEHOLDER || words[index - 1] !== PLACEHOLDER)
    .join(" ")
    .replace(/^# /, "");
}
