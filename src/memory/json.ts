import { usageError } from "../errors.ts";

/** Only such texts can hold a number that JavaScript changes; looking costs little beside looking at every number. */
const SUSPECT = /\d{16}|\de[+-]?\d{2}/i;

/**
 * JSON.parse that refuses numbers which would come back as others: integers past 2^53 and what overflows to infinity.
 * @throws SyntaxError for invalid JSON, OpsError `usage` for such a number
 */
export function parseJson(text: string): Record<string, unknown> {
  if (!SUSPECT.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    if (typeof value !== "number" || isKept(value, context?.source)) return value;
    throw usageError(`the number ${context?.source} cannot be kept exactly`, "write it as a text");
  });
}

function isKept(value: number, source: string | undefined): boolean {
  if (!Number.isFinite(value)) return false;
  const isInteger = source !== undefined && /^-?\d+$/.test(source);
  return !isInteger || Number.isSafeInteger(value);
}
