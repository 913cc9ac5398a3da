/**
 * opsctl's own layout: `V001-create-users-up.sql` with `V001-create-users-down.sql`, or `2025-01-15-001-add-index.cypher` with
 * `2025-01-15-001-add-index-down.cypher`.
 */
import { usageError } from "../../errors.ts";
import type { FormatReader, Named } from "./format.ts";
import { readPairs } from "./pairs.ts";
import { wordsOf } from "./slug.ts";

/** The direction is the last word, so that a description may hold any other. */
const NUMBERED = /^(V(\d+))-(.+)-(up|down)\.([^.]+)$/;
/** Without a direction it is `up`; `…-scale-up.cypher` is `up` too, and its description `scale`. */
const DATED = /^((\d{4})-(\d\d)-(\d\d)-(\d{3}))-(.+?)(?:-(up|down))?\.([^.]+)$/;

/** Whether a version is one of the scheme with dates. */
export function isDated(version: string): boolean {
  return !version.startsWith("V");
}

export const opsctlFormat: FormatReader = {
  format: "opsctl",
  unit: "file",
  sqlOnly: false,
  parse: (name) => parseNumbered(name) ?? parseDated(name),
  nameOf(version, description, direction, extension) {
    const isPlain = isDated(version) && direction === "up" && !/(^|-)(up|down)$/.test(description);
    return `${version}-${description}${isPlain ? "" : `-${direction}`}.${extension}`;
  },
  read(folder, named) {
    const other = named.find(({ version }) => isDated(version) !== isDated(named[0]!.version));
    if (other) {
      throw usageError(
        `${folder.shown} has versions with numbers and with dates: ${named[0]!.name} and ${other.name}`,
        "their order would be a guess: keep to one of the two schemes",
      );
    }
    return readPairs(folder, named);
  },
};

function parseNumbered(name: string): Named | null {
  const match = NUMBERED.exec(name);
  if (!match) return null;
  const [, version, digits, description, direction, extension] = match as unknown as string[];
  if (Number(digits) === 0)
    throw usageError(`${name}: versions begin with V1`, "0 stands for an empty database");
  return {
    name,
    version: version!,
    seq: Number(digits),
    description: wordsOf(description!),
    direction: direction === "down" ? "down" : "up",
    extension: extension!,
  };
}

function parseDated(name: string): Named | null {
  const match = DATED.exec(name);
  if (!match) return null;
  const [, version, year, month, day, number, description, direction, extension] =
    match as unknown as string[];
  // `2025-01-15-001-down.cypher`: a direction without a description
  if (direction === undefined && /^(up|down)$/.test(description!)) return null;
  if (!isCalendarDate(Number(year), Number(month), Number(day))) {
    throw usageError(
      `${name}: there is no such day`,
      "versions are YYYY-MM-DD-NNN, for example 2025-01-15-001",
    );
  }
  return {
    name,
    version: version!,
    seq: Number(`${year}${month}${day}${number}`),
    description: wordsOf(description!),
    direction: direction === "down" ? "down" : "up",
    extension: extension!,
  };
}

function isCalendarDate(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}
