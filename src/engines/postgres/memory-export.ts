import type { Call } from "../../call.ts";
import type { EventView } from "../../memory/model.ts";
import type { PostgresConnection } from "./connect.ts";
import { EVENT_COLUMNS, type EventRow, toEvent } from "./memory-read.ts";

const FIRST_ROWS = 50;
const MAX_ROWS = 1000;
/**
 * Characters that one FETCH should bring: a record's texts may have 2 MiB, so a number of rows alone bounds
 * nothing.
 */
const FETCH_CHARACTERS = 8_000_000;

/**
 * One snapshot; the limit on idle transactions is lifted, because a reader may pause for as long as he likes.
 */
const OPEN = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
  SET LOCAL idle_in_transaction_session_timeout = 0;
  DECLARE exported NO SCROLL CURSOR FOR
    SELECT ${EVENT_COLUMNS} FROM memori_events e JOIN memori_metadata m ON m.id = e.record_id
    WHERE m.deleted_at IS NULL ORDER BY e.at, e.id`;

/**
 * All visible events in the order (at, id), as they were when the first was asked for, in constant memory.
 */
export async function* exportEvents(connection: PostgresConnection, call: Call): AsyncGenerator<EventView> {
  const session = await connection.lend(call);
  let isDone = false;
  try {
    await session.query(OPEN);
    let count = FIRST_ROWS;
    for (;;) {
      const rows = await session.query<EventRow>(`FETCH ${count} FROM exported`);
      yield* rows.map(toEvent);
      if (rows.length < count) break;
      count = nextCount(rows);
    }
    await session.query("COMMIT");
    isDone = true;
  } catch (error) {
    throw connection.explain(error);
  } finally {
    session.release(!isDone);
  }
}

function nextCount(rows: readonly EventRow[]): number {
  const characters = rows.reduce((sum, row) => sum + row.content.length + (row.details?.length ?? 0), 0);
  const average = Math.max(1, characters / rows.length);
  return Math.min(MAX_ROWS, Math.max(1, Math.floor(FETCH_CHARACTERS / average)));
}
