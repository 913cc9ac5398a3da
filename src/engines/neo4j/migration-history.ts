import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { HistoryRow, Migration } from "../../migrate/port.ts";
import type { Neo4jConnection, Params } from "./connect.ts";
import { extendLease, type Held } from "./migration-lock.ts";
import { splitCypher } from "./statements.ts";

/**
 * Made before anything else: a MERGE without a constraint behind it makes doubles. Community has no node
 * keys.
 */
export const HISTORY_SCHEMA: readonly string[] = [
  `CREATE CONSTRAINT opsctl_migrations_key IF NOT EXISTS
FOR (h:opsctl_migrations) REQUIRE (h.set_name, h.version) IS UNIQUE`,
  "CREATE CONSTRAINT opsctl_lock_name IF NOT EXISTS FOR (l:opsctl_lock) REQUIRE l.name IS UNIQUE",
];

const NUMBERS = ["seq", "statement_index", "applied_at", "duration_ms"] as const;

const KEY = "{set_name: $set_name, version: $version}";

// resumed where it stopped only when the file is the same
const START = `MERGE (h:opsctl_migrations ${KEY})
WITH h, CASE WHEN h.checksum = $row.checksum AND h.state IN ['running', 'failed']
  THEN h.statement_index ELSE 0 END AS done
SET h += $row, h.statement_index = done RETURN done`;

const UPDATE = `MATCH (h:opsctl_migrations ${KEY}) SET h += $changes`;

export async function readHistory(call: Call, connection: Neo4jConnection): Promise<HistoryRow[]> {
  const rows = await connection.read<{ row: HistoryRow }>(
    call,
    "MATCH (h:opsctl_migrations) RETURN h {.*} AS row ORDER BY h.set_name, h.seq",
  );
  return rows.map(({ row }) => row);
}

/**
 * Runs one file. Neo4j mixes no schema and data in one transaction, so each statement commits by itself and
 * the history says how many are done; a file that stopped in the middle goes on there. Statements must be
 * repeatable (IF NOT EXISTS): the one that was under way may run twice.
 * @throws OpsError naming file and statement
 */
export async function applyFile(
  call: Call,
  connection: Neo4jConnection,
  migration: Migration,
  row: Omit<HistoryRow, "state" | "duration_ms" | "statement_index">,
  held: Held | undefined,
): Promise<void> {
  const startedAt = performance.now();
  const key = { set_name: row.set_name, version: row.version };
  // with the lease in one transaction: who lost the lock changes no history
  const record = <T>(query: string, params: Params) =>
    connection.write(call, async (run) => {
      if (held) await extendLease(run, connection, held);
      return run<T>(query, { ...key, ...params });
    });
  const update = (changes: Params) => record(UPDATE, { changes: withIntegers(changes) });
  const started = withIntegers({ ...row, state: "running", duration_ms: 0 });
  const [first] = await record<{ done: number }>(START, { row: started });
  const statements = splitCypher(migration.text);
  let done = first!.done;
  try {
    for (; done < statements.length; done += 1) {
      await connection.command(call, statements[done]!);
      await update({ statement_index: done + 1 });
    }
    await update({ state: "applied", duration_ms: Math.round(performance.now() - startedAt) });
  } catch (error) {
    // the error that stopped the file is the one to report; a history that cannot be written still says
    // `running`
    await update({ state: "failed", duration_ms: Math.round(performance.now() - startedAt) }).catch(() => {});
    throw named(error, `${migration.set}/${migration.file}`, done + 1, statements.length);
  }
}

function withIntegers(row: Params): Params {
  const numbers = NUMBERS.filter((name) => row[name] !== undefined);
  return { ...row, ...Object.fromEntries(numbers.map((name) => [name, BigInt(row[name] as number)])) };
}

/** The server's refusal with the place in the file put before it. */
function named(error: unknown, file: string, statement: number, of: number): OpsError {
  if (!(error instanceof OpsError)) throw error;
  const { code, message, hint, engine, cause } = error;
  return new OpsError({
    code,
    engine,
    hint,
    cause,
    message: `${file}, statement ${statement} of ${of}: ${message}`,
  });
}
