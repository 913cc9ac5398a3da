import { usageError } from "../errors.ts";

/** Bytes of UTF-8. */
const MAX_KEY_BYTES = 512;
export const MAX_TEXT_BYTES = 1024 * 1024;
export const MAX_NAME_BYTES = 256;
const MAX_METADATA_BYTES = 64 * 1024;
const MAX_TAGS = 64;

/**
 * A text every store can keep exactly.
 * @param field how the message names it
 * @throws OpsError `usage` for an empty text, one over `maxBytes`, NUL bytes (PostgreSQL refuses them) and lone surrogates
 *   (UTF-8 cannot hold them; PostgreSQL would store U+FFFD)
 */
function checkText(value: unknown, field: string, maxBytes: number): string {
  if (typeof value !== "string") throw usageError(`${field} must be a text`);
  if (value.trim() === "") throw usageError(`${field} is empty`, `give it a text of up to ${size(maxBytes)}`);
  // three bytes a UTF-16 unit at most: short texts need no encoding to be measured
  if (value.length * 3 > maxBytes && Buffer.byteLength(value) > maxBytes) {
    throw usageError(
      `${field} is larger than ${size(maxBytes)} (${Buffer.byteLength(value)} bytes)`,
      "shorten it",
    );
  }
  if (value.includes("\0"))
    throw usageError(`${field} holds a NUL byte`, "remove it: no store can keep it exactly");
  if (!value.isWellFormed())
    throw usageError(`${field} holds a lone surrogate (half a character)`, "send valid UTF-8");
  return value;
}

export const checkKey = (value: unknown, field: string) => {
  const key = checkText(value, field, MAX_KEY_BYTES);
  if (key === "issue:") throw usageError(`${field} names no issue`, "write issue:NAME");
  return key;
};
export const checkContent = (value: unknown, field: string) => checkText(value, field, MAX_TEXT_BYTES);
export const checkName = (value: unknown, field: string) => checkText(value, field, MAX_NAME_BYTES);

/** Optional texts: null, undefined and "" all mean none. */
export function optionalText(value: unknown, field: string, maxBytes: number): string | null {
  return value === undefined || value === null || value === "" ? null : checkText(value, field, maxBytes);
}

/** Ids of clients: printable ASCII, so that every store orders them alike. */
export function checkId(value: unknown, field: string): string {
  const id = typeof value === "number" && Number.isSafeInteger(value) ? String(value) : value;
  if (typeof id !== "string" || !/^[\x21-\x7e]{1,128}$/.test(id)) {
    throw usageError(`${field} must be 1 to 128 printable ASCII characters without spaces`);
  }
  return id;
}

/** @throws OpsError `usage` unless it is a JSON object that every store can keep */
export function checkMetadata(value: unknown, field: string): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (typeof value !== "object" || Array.isArray(value)) throw usageError(`${field} must be a JSON object`);
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > MAX_METADATA_BYTES)
    throw usageError(`${field} is larger than ${size(MAX_METADATA_BYTES)}`);
  // JSON writes NUL and lone surrogates as escapes; jsonb refuses both (22P05, 22P02)
  if (/(?<!\\)(?:\\\\)*\\u(?:0000|d[89ab][0-9a-f]{2}|d[c-f][0-9a-f]{2})/i.test(text)) {
    throw usageError(`${field} holds a NUL byte or a lone surrogate`);
  }
  return value as Record<string, unknown>;
}

export function checkTags(value: unknown, field: string): string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value) || value.length > MAX_TAGS) {
    throw usageError(`${field} must be a list of at most ${MAX_TAGS} texts`);
  }
  return value.map((tag) => checkName(tag, field));
}

function size(bytes: number): string {
  return bytes >= 1024 * 1024
    ? `${bytes / 1024 / 1024} MiB`
    : bytes >= 1024
      ? `${bytes / 1024} KiB`
      : `${bytes} bytes`;
}
