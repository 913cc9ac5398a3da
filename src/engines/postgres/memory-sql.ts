import type { Page, RecordFilter } from "../../memory/port.ts";

/**
 * The folded issue of a record `m`: the folded key without `issue:`; a key that is no issue is taken whole.
 */
const FOLDED_ISSUE =
  "CASE WHEN starts_with(m.folded_key, 'issue:') THEN substr(m.folded_key, 7) ELSE m.folded_key END";

/** The latest event `l` of a record `m`: the greatest (at, id). */
export const LATEST = `CROSS JOIN LATERAL (
    SELECT * FROM memori_events WHERE record_id = m.id ORDER BY at DESC, id DESC LIMIT 1) l`;

/** Numbers the parameters of one statement. */
export class Parameters {
  readonly values: unknown[] = [];

  /** Remembers a value and returns its place in the text: `$1`. */
  add(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/**
 * True for records `m` whose folded issue contains `text`. LIKE alone looks into the prefix too, but can use
 * the trigram index.
 */
function issueContains(text: string, parameters: Parameters): string {
  const pattern = `%${text.replace(/[\\%_]/g, "\\$&")}%`;
  const like = `m.folded_key LIKE ${parameters.add(pattern)}::text`;
  return `${like} AND strpos(${FOLDED_ISSUE}, ${parameters.add(text)}::text) > 0`;
}

/**
 * Conditions on a visible record `m`; `event` is the alias of the event that `since` and `success` speak of:
 * the latest (`l`), or, in a listing of events, each one (`e`), which then is the one that `agent` speaks of,
 * too.
 */
export function conditionOf(filter: RecordFilter, event: "l" | "e", parameters: Parameters): string {
  const parts = ["m.deleted_at IS NULL"];
  if (filter.since !== undefined) parts.push(`${event}.at >= ${parameters.add(filter.since)}::bigint`);
  if (filter.success !== undefined)
    parts.push(`${event}.success = ${parameters.add(filter.success)}::boolean`);
  if (filter.issue !== undefined) parts.push(issueContains(filter.issue, parameters));
  if (filter.key !== undefined) parts.push(`m.folded_key = ${parameters.add(filter.key)}::text`);
  if (filter.record !== undefined) parts.push(`m.id = ${parameters.add(filter.record)}::text`);
  if (filter.agent !== undefined) {
    const agent = `${parameters.add(filter.agent)}::text`;
    parts.push(
      event === "e"
        ? `e.agent = ${agent}`
        : `EXISTS (SELECT 1 FROM memori_events a WHERE a.record_id = m.id AND a.agent = ${agent})`,
    );
  }
  return parts.join(" AND ");
}

/** True for events (`l` or `e`) that come after the place in the list where the page begins. */
export function isAfter({ after }: Page, event: "l" | "e", parameters: Parameters): string {
  if (after === undefined) return "true";
  return `(${event}.at, ${event}.id) < (${parameters.add(after.at)}::bigint, ${parameters.add(after.id)}::text)`;
}
