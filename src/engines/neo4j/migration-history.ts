/** History as nodes `opsctl_migrations`, one for each version of a set. */
import type { Call } from "../../call.ts";
import type { HistoryRow } from "../../migrate/port.ts";
import type { Neo4jConnection, Params, Run } from "./connect.ts";
import { EXTEND, extendLease, fence, type Held } from "./migration-lock.ts";

/** A MERGE without a constraint behind it makes doubles. Community has no node keys. */
const CONSTRAINTS: ReadonlyMap<string, string> = new Map([
  ["opsctl_migrations_key", "FOR (h:opsctl_migrations) REQUIRE (h.set_name, h.version) IS UNIQUE"],
  ["opsctl_lock_name", "FOR (l:opsctl_lock) REQUIRE l.name IS UNIQUE"],
]);

const COLUMNS = [
  ...["set_name", "version", "seq", "file", "description", "checksum", "state", "statement_index"],
  ...["applied_by", "applied_at", "duration_ms", "tool_version"],
] as const;

const NUMBERS = ["seq", "statement_index", "applied_at", "duration_ms"] as const;

/** Columns by name: a data statement may have written properties of its own onto every node. */
const READ = `MATCH (h:opsctl_migrations) RETURN h {${COLUMNS.map((name) => `.${name}`).join(", ")}} AS row
ORDER BY h.set_name, h.seq`;

/** Fenced: without the lock no row is written. */
const SAVE = `${EXTEND}
MERGE (h:opsctl_migrations {set_name: $set_name, version: $version}) SET h = $row RETURN 1 AS saved`;

/** Whose a row is, and how far. */
export type Mark = Pick<HistoryRow, "applied_at" | "applied_by" | "state" | "statement_index">;

/**
 * Creates what the history needs and is missing. A user who may not create anything never gets here when it is all there, and two that
 * create it at once are none the wiser.
 */
export async function ensureHistory(call: Call, connection: Neo4jConnection): Promise<void> {
  const query = "SHOW CONSTRAINTS YIELD name WHERE name IN $names RETURN name";
  const there = await connection.read<{ name: string }>(call, query, { names: [...CONSTRAINTS.keys()] });
  for (const [name, definition] of CONSTRAINTS) {
    if (there.some((one) => one.name === name)) continue;
    await connection.command(call, `CREATE CONSTRAINT ${name} IF NOT EXISTS ${definition}`);
  }
}

export async function readHistory(call: Call, connection: Neo4jConnection): Promise<HistoryRow[]> {
  const rows = await connection.read<{ row: HistoryRow }>(call, READ);
  return rows.map(({ row }) => row);
}

export function readRow(run: Run, set_name: string, version: string): Promise<Mark[]> {
  const query = `MATCH (h:opsctl_migrations {set_name: $set_name, version: $version})
RETURN h.applied_at AS applied_at, h.applied_by AS applied_by, h.state AS state, h.statement_index AS statement_index`;
  return run<Mark>(query, { set_name, version });
}

/**
 * Writes a row and extends the lease, in one transaction.
 * @throws OpsError `locked` when the lock was lost: then nothing was written
 */
export async function saveRow(
  call: Call,
  connection: Neo4jConnection,
  held: Held,
  row: HistoryRow,
): Promise<void> {
  const sentAt = performance.now();
  const saved = await connection.save(call, SAVE, saveParams(held, row));
  // says who has it
  if (saved.length === 0) await connection.write(call, (run) => extendLease(run, connection, held));
  held.confirmedAt = sentAt;
}

/** As `saveRow`, several: all or none. */
export function saveRows(
  call: Call,
  connection: Neo4jConnection,
  held: Held,
  rows: readonly HistoryRow[],
): Promise<void> {
  return connection.write(call, async (run) => {
    for (const row of rows) await saveRowIn(run, connection, held, row);
  });
}

/** As `saveRow`, in a transaction that is under way. */
export async function saveRowIn(
  run: Run,
  connection: Neo4jConnection,
  held: Held,
  row: HistoryRow,
): Promise<void> {
  const sentAt = performance.now();
  const saved = await run(SAVE, saveParams(held, row));
  if (saved.length === 0) await extendLease(run, connection, held);
  held.confirmedAt = sentAt;
}

/** Whole numbers as BigInt: the driver sends every JavaScript number as a float. */
function saveParams(held: Held, row: HistoryRow): Params {
  const { set_name, version } = row;
  const integers = Object.fromEntries(NUMBERS.map((name) => [name, BigInt(row[name])]));
  return { ...fence(held), set_name, version, row: { ...row, ...integers } };
}
