import { usageError } from "../errors.ts";
import { digestOf, newEventId, recordId } from "./ids.ts";
import type { NewWrite } from "./journal.ts";
import {
  checkContent,
  checkId,
  checkKey,
  checkMetadata,
  checkTags,
  MAX_NAME_BYTES,
  MAX_TEXT_BYTES,
  optionalText,
} from "./limits.ts";
import { NAMESPACE } from "./model.ts";
import { maskJson, maskText } from "./secrets.ts";

/** What a client says of one event and its record. Everything but key and content may be missing. */
export interface RememberInput {
  key: unknown;
  content: unknown;
  details?: unknown;
  success?: unknown;
  agent?: unknown;
  server?: unknown;
  tags?: unknown;
  metadata?: unknown;
  /** ms */
  at?: number | undefined;
  id?: unknown;
  eventId?: unknown;
}

/** An input that was masked. Ids name something in the client's own books, so one with a secret is refused, not changed. */
export interface MaskedInput extends RememberInput {
  /** The ids that hold a secret, masked. */
  secretIds?: { id?: string; eventId?: string };
}

export type RememberWrite = Extract<NewWrite, { kind: "remember" }>;

/** How messages name the fields: flags on the command line, JSON names in an import. */
export type FieldNames = Record<keyof RememberInput, string>;

/** Secrets of one kind that were masked in one field. */
export interface Masked {
  field: (typeof MASKED_FIELDS)[number];
  kind: string;
  count: number;
}

const MASKED_FIELDS = ["key", "content", "details", "agent", "server", "tags", "metadata"] as const;

/**
 * The input without secrets, and what was masked, by field. It is done before anything is derived from the text, so that ids and digests are those of
 * the masked text and two hosts agree on them.
 */
export function maskInput(input: RememberInput): { input: MaskedInput; masked: Masked[] } {
  const clean: MaskedInput = { ...input };
  const masked: Masked[] = [];
  for (const field of MASKED_FIELDS) {
    clean[field] = maskJson(input[field], (kind) => {
      const known = masked.find((one) => one.field === field && one.kind === kind);
      if (known) known.count += 1;
      else masked.push({ field, kind, count: 1 });
    });
  }
  for (const field of ["id", "eventId"] as const) {
    const id = input[field];
    const shown = typeof id === "string" ? maskText(id) : id;
    if (typeof shown === "string" && shown !== id) clean.secretIds = { ...clean.secretIds, [field]: shown };
  }
  return { input: clean, masked };
}

/**
 * Checks an input and makes the write of it.
 * @param defaultEventId used when the input names none
 * @throws OpsError `usage` naming the field; an id in which masking found a secret too
 */
export function rememberWrite(
  input: MaskedInput,
  names: FieldNames,
  now: number,
  defaultEventId?: string,
): RememberWrite {
  for (const field of ["id", "eventId"] as const) {
    const shown = input.secretIds?.[field];
    if (shown !== undefined)
      throw usageError(
        `${names[field]} holds a secret (${shown})`,
        "use an id without one, or --no-mask to store it as it is",
      );
  }
  const key = checkKey(input.key, names.key);
  const content = checkContent(input.content, names.content);
  const details = optionalText(input.details, names.details, MAX_TEXT_BYTES);
  const metadata = checkMetadata(input.metadata, names.metadata);
  const record = {
    id: given(input.id) ? checkId(input.id, names.id) : recordId(NAMESPACE, key, content, details),
    namespace: NAMESPACE,
    key,
    content,
    details,
  };
  const event = {
    agent:
      optionalText(input.agent, names.agent, MAX_NAME_BYTES) ?? textIn(metadata, "agent", names.metadata),
    server:
      optionalText(input.server, names.server, MAX_NAME_BYTES) ?? textIn(metadata, "server", names.metadata),
    success: successOf(input.success, metadata, content, names.success),
    tags: checkTags(input.tags, names.tags),
    metadata,
  };
  const id = given(input.eventId)
    ? checkId(input.eventId, names.eventId)
    : (defaultEventId ?? newEventId(now));
  return {
    kind: "remember",
    record,
    event: { id, ...event, at: input.at ?? now },
    // without the time: sending the same again, now with another default time, is no conflict
    digest: digestOf([record, event]),
  };
}

const given = (value: unknown) => value !== undefined && value !== null;

/** The guides put agent and server into the metadata. */
function textIn(metadata: Record<string, unknown>, name: string, field: string): string | null {
  const value = metadata[name];
  return typeof value === "string" ? optionalText(value, `${field}: ${name}`, MAX_NAME_BYTES) : null;
}

function successOf(
  value: unknown,
  metadata: Record<string, unknown>,
  content: string,
  field: string,
): boolean | null {
  if (typeof value === "boolean") return value;
  if (given(value)) throw usageError(`${field} must be true, false or null`);
  const said = metadata["success"];
  if (typeof said === "boolean") return said;
  if (given(said)) throw usageError(`${field}: success in the metadata must be true, false or null`);
  return successInWords(content);
}

const FAILURE =
  /\b(?:fail(?:s|ed|ure|ing)?|unsuccessful(?:ly)?|unresolved|(?:did|does|do)(?: not|n't) (?:work|help|fix|solve)|not (?:fixed|resolved|solved|working)|no (?:effect|luck)|still (?:broken|failing|happens|occurs))\b/i;
const SUCCESS =
  /\b(?:success(?:ful(?:ly)?)?|succeeded|fixed|resolved|solved|works|worked|working (?:now|again))\b/i;

/** What the wording of a solution says of its outcome; null when it says nothing, or both. */
export function successInWords(content: string): boolean | null {
  const failed = FAILURE.test(content);
  const succeeded = SUCCESS.test(content.replace(new RegExp(FAILURE.source, "gi"), ""));
  return failed === succeeded ? null : succeeded;
}
