/** SQL that several reads share; aliases: record `m`, its latest event `l`, an event `e`. */
import type Database from "better-sqlite3";
import type { EventCursor, RecordFilter } from "../../memory/port.ts";

/** The folded issue of a record `m`: what the guide's CONTAINS looks into. */
export const FOLDED_ISSUE =
  "CASE WHEN m.folded_key LIKE 'issue:%' THEN substr(m.folded_key, 7) ELSE m.folded_key END";

/** The latest event `l` of a record `m`: the greatest (at, id). */
export const LATEST = `JOIN memori_events l ON l.id = (
    SELECT id FROM memori_events WHERE record = m.row_id ORDER BY at DESC, id DESC LIMIT 1)`;

export interface Condition {
  sql: string;
  params: (string | number)[];
}

type Part = [sql: string, value: string | number | undefined];

/** Conditions on a record `m`; `event` is the alias of the event that `since` and `success` speak of. */
export function conditionOf(filter: RecordFilter, event: "l" | "e", perEvent = false): Condition {
  const agent = perEvent
    ? `${event}.agent = ?`
    : "EXISTS (SELECT 1 FROM memori_events a WHERE a.record = m.row_id AND a.agent = ?)";
  return allOf("m.deleted_at IS NULL", [
    [`${event}.at >= ?`, filter.since],
    [`${event}.success = ?`, filter.success === undefined ? undefined : Number(filter.success)],
    ...recordParts(filter),
    [agent, filter.agent],
  ]);
}

const recordParts = ({ issue, record, key }: RecordFilter): Part[] => [
  [`instr(${FOLDED_ISSUE}, ?) > 0`, issue],
  ["m.id = ?", record],
  ["m.folded_key = ?", key],
];

function allOf(first: string, parts: readonly Part[]): Condition {
  const given = parts.filter((part): part is [string, string | number] => part[1] !== undefined);
  return {
    sql: [first, ...given.map(([sql]) => sql)].join(" AND "),
    params: given.map(([, value]) => value),
  };
}

/** Rows of `event` that come after a place in the order (at, id), newest first. */
export function afterOf(event: "l" | "e", after: EventCursor | undefined): Condition {
  return after
    ? { sql: `(${event}.at, ${event}.id) < (?, ?)`, params: [after.at, after.id] }
    : { sql: "TRUE", params: [] };
}

/** Records that are read one by one and sorted; of more than these the newest are found sooner among the newest events. */
const FEW_RECORDS = 10_000;

/** Rows of the records that a condition on the record `m` alone selects (forgotten ones too), as a JSON list, when they are few. */
export function fewRecords(database: Database.Database, { sql, params }: Condition): string | undefined {
  const rows = database
    .prepare<unknown[], number>(
      `SELECT m.row_id FROM memori_metadata m WHERE ${sql} LIMIT ${FEW_RECORDS + 1}`,
    )
    .pluck()
    .all(...params);
  return rows.length > FEW_RECORDS ? undefined : JSON.stringify(rows);
}

/** As `fewRecords`, of what a filter says of the record itself; undefined also when it says nothing. */
export function fewFiltered(database: Database.Database, filter: RecordFilter): string | undefined {
  const condition = allOf("TRUE", recordParts(filter));
  return condition.params.length === 0 ? undefined : fewRecords(database, condition);
}
