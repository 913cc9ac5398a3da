/** Places in lists, as a client hands them back: opaque text, good for the list that gave it. */
import { usageError } from "../errors.ts";

/** What a place is made of, by list: the values that the list is ordered by, and what its later pages must keep. */
export interface Places {
  /** Latest events of records. */
  fixes: { at: number; id: string };
  events: { at: number; id: string };
  show: { at: number; id: string };
  timeline: { at: number; id: string };
  similar: { occurrences: number; lastSeen: number; key: string };
  /** `since` and `until` (ms): the window of the first page, which later pages keep; `isGone`: among the issues of the window before. */
  patterns: {
    since: number;
    until: number;
    isGone: boolean;
    occurrences: number;
    lastSeen: number;
    key: string;
  };
  agents: { name: string };
  /** `question`: digest of query and filter, which later pages keep. */
  recall: { offset: number; pool: number; question: string };
}

const FIELDS: { readonly [L in keyof Places]: Readonly<Record<keyof Places[L], string>> } = {
  fixes: { at: "number", id: "string" },
  events: { at: "number", id: "string" },
  show: { at: "number", id: "string" },
  timeline: { at: "number", id: "string" },
  similar: { occurrences: "number", lastSeen: "number", key: "string" },
  patterns: {
    since: "number",
    until: "number",
    isGone: "boolean",
    occurrences: "number",
    lastSeen: "number",
    key: "string",
  },
  agents: { name: "string" },
  recall: { offset: "number", pool: "number", question: "string" },
};

/** base64url of JSON: `{"list": …}` with the values of the place. */
export function cursorOf<L extends keyof Places>(list: L, place: Places[L]): string {
  const values = Object.keys(FIELDS[list]).map((name) => [name, place[name as keyof Places[L]]]);
  return Buffer.from(JSON.stringify({ list, ...Object.fromEntries(values) })).toString("base64url");
}

/** @throws OpsError `usage` for what `cursorOf` did not make for this list */
export function placeOf<L extends keyof Places>(list: L, text: string): Places[L] {
  const place = parse(text);
  if (place === undefined) throw usageError(`--after: "${text.slice(0, 80)}" is no cursor`, HINT);
  if (place["list"] !== list)
    throw usageError(`--after: this cursor is not one of this list (${list})`, HINT);
  for (const [name, type] of Object.entries<string>(FIELDS[list])) {
    const value = place[name];
    const isSound = typeof value === type && (type !== "number" || Number.isSafeInteger(value));
    if (!isSound) throw usageError(`--after: "${text.slice(0, 80)}" is no cursor`, HINT);
  }
  return place as unknown as Places[L];
}

const HINT = 'give it the "next" of the page before';

function parse(text: string): Record<string, unknown> | undefined {
  if (!/^[A-Za-z0-9_-]{1,4096}$/.test(text)) return undefined;
  try {
    const place: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    return typeof place === "object" && place !== null ? (place as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** A page of rows that were asked for with one more than its limit, and the cursor of the next one; null at the end. */
export function pageOf<T, L extends keyof Places>(
  rows: readonly T[],
  limit: number,
  list: L,
  place: (row: T) => Places[L],
): { rows: T[]; next: string | null } {
  const kept = rows.slice(0, limit);
  return { rows: kept, next: rows.length > limit ? cursorOf(list, place(kept.at(-1)!)) : null };
}

/** The order of texts in every store: that of their bytes in UTF-8. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
