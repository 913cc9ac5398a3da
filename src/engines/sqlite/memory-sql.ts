/** SQL that several reads share; aliases: record `m`, its latest event `l`, an event `e`. */
import type { RecordFilter } from "../../memory/port.ts";

/** The folded issue of a record `m`: what the guide's CONTAINS looks into. */
export const FOLDED_ISSUE =
  "CASE WHEN m.folded_key LIKE 'issue:%' THEN substr(m.folded_key, 7) ELSE m.folded_key END";

/** The latest event `l` of a record `m`: the greatest (at, id). */
export const LATEST = `JOIN memori_events l ON l.id = (
    SELECT id FROM memori_events WHERE record = m.row_id ORDER BY at DESC, id DESC LIMIT 1)`;

interface Condition {
  sql: string;
  params: (string | number)[];
}

/** Conditions on a record `m`; `event` is the alias of the event that `since` and `success` speak of. */
export function conditionOf(filter: RecordFilter, event: "l" | "e", perEvent = false): Condition {
  const parts = ["m.deleted_at IS NULL"];
  const params: (string | number)[] = [];
  const add = (sql: string, value: string | number) => {
    parts.push(sql);
    params.push(value);
  };
  if (filter.since !== undefined) add(`${event}.at >= ?`, filter.since);
  if (filter.success !== undefined) add(`${event}.success = ?`, Number(filter.success));
  if (filter.issue !== undefined) add(`instr(${FOLDED_ISSUE}, ?) > 0`, filter.issue);
  if (filter.record !== undefined) add("m.id = ?", filter.record);
  if (filter.agent !== undefined) {
    add(
      perEvent
        ? `${event}.agent = ?`
        : "EXISTS (SELECT 1 FROM memori_events a WHERE a.record = m.row_id AND a.agent = ?)",
      filter.agent,
    );
  }
  return { sql: parts.join(" AND "), params };
}
