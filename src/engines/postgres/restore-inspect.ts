/** What a database holds, counted as a backup counts it. */
import { differences } from "../../backup/counts.ts";
import type { Call } from "../../call.ts";
import type { Found, RestoreTask } from "../../restore/port.ts";
import { totals } from "./backup-parse.ts";
import { together } from "./backup-streams.ts";
import type { PostgresConnection } from "./connect.ts";
import { identifier } from "./quoting.ts";
import { RestoreSession } from "./restore-session.ts";

/** Problems and names in a result. */
const SHOWN = 10;

/**
 * As pg_dump takes them: of an extension's tables those that hold rows of the user, under the extension's condition. `p` and `m` have no rows of
 * their own in a dump.
 */
const TABLES = `SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relispartition AS is_partition,
    e.oid IS NOT NULL AS is_extensions, coalesce(e.extcondition[array_position(e.extconfig, c.oid)], '') AS condition
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    LEFT JOIN pg_extension e ON e.oid = d.refobjid
  WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND (d.objid IS NULL OR c.oid = ANY(e.extconfig))
  ORDER BY c.relpages DESC, n.nspname, c.relname`;

/** That of a partitioned index (`I`) may be missing in the dump, too. */
const REST = `SELECT (SELECT count(*) FROM pg_largeobject_metadata) AS objects,
  (SELECT count(*) FROM pg_constraint WHERE NOT convalidated) AS not_valid,
  (SELECT coalesce(array_agg(c.oid::regclass::text ORDER BY c.oid::regclass::text), '{}') FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relkind = 'i') AS invalid`;

interface Table {
  schema: string;
  name: string;
  kind: "r" | "p" | "m";
  is_partition: boolean;
  is_extensions: boolean;
  condition: string;
}

export interface InspectOptions {
  /** Sessions at a time. */
  jobs: number;
  /** Also tells the planner how its columns are distributed. */
  analyze: boolean;
  /** Constraints that are not valid in the dump; undefined: not compared. */
  notValid?: number | undefined;
}

/** @param connection to the database; not closed */
export async function inspect(
  call: Call,
  connection: PostgresConnection,
  expected: RestoreTask["expected"],
  { jobs, analyze, notValid }: InspectOptions,
): Promise<Found> {
  const first = await RestoreSession.open(call, connection.sibling());
  const rows: Record<string, number> = {};
  let tables: Table[];
  let rest: { objects: number; not_valid: number; invalid: string[] };
  try {
    tables = await first.query<Table>(call, TABLES);
    const queue = [...tables];
    await together(call, (own) =>
      Array.from({ length: Math.min(jobs, tables.length) }, (_, index) =>
        index === 0
          ? drainQueue(own, first, queue, rows, analyze)
          : withSession(own, connection, (session) => drainQueue(own, session, queue, rows, analyze)),
      ),
    );
    rest = (await first.query<typeof rest>(call, REST))[0]!;
  } finally {
    await first.close();
  }
  const count = tables.filter(({ kind, is_extensions }) => kind !== "m" && !is_extensions).length;
  const counts = { tables: count, ...totals(rows, rest.objects) };
  const problems = problemsIn({ counts, breakdown: rows }, expected);
  for (const index of rest.invalid) problems.push(`the index ${index} is not valid`);
  if (notValid !== undefined && notValid !== rest.not_valid) {
    problems.push(`${rest.not_valid} constraints are not valid, and in the dump ${notValid}`);
  }
  const notes =
    rest.not_valid > 0 ? [`${rest.not_valid} constraints were never validated, as in the dump`] : [];
  return { counts, breakdown: rows, problems: shortened(problems), notes };
}

async function withSession(
  call: Call,
  connection: PostgresConnection,
  work: (session: RestoreSession) => Promise<void>,
): Promise<void> {
  const session = await RestoreSession.open(call, connection.sibling());
  try {
    await work(session);
  } finally {
    await session.close();
  }
}

/** Analyzing a partitioned table reads its partitions, too. */
async function drainQueue(
  call: Call,
  session: RestoreSession,
  queue: Table[],
  rows: Record<string, number>,
  analyze: boolean,
): Promise<void> {
  const patient = { timeoutMs: null };
  // what is lost in a power cut is flushed by the caller's next commit
  if (analyze) await session.query(call, "SET synchronous_commit = off");
  for (let table = queue.shift(); table; table = queue.shift()) {
    const name = `${identifier(table.schema)}.${identifier(table.name)}`;
    if (table.kind === "r") {
      const text = `SELECT count(*) AS count FROM ONLY ${name} ${table.condition}`;
      const [row] = await session.query<{ count: number }>(call, text, [], patient);
      rows[`${table.schema}.${table.name}`] = row!.count;
    }
    if (analyze && !table.is_partition) await session.query(call, `ANALYZE ${name}`, [], patient);
  }
}

/** A table that is missing is a problem, too; a total says nothing more than its parts. */
export function problemsIn(
  found: Pick<Found, "counts" | "breakdown">,
  expected: RestoreTask["expected"],
): string[] {
  const missing = Object.keys(expected.breakdown).filter((name) => !Object.hasOwn(found.breakdown, name));
  const parts = [
    ...missing.map((name) => `${name}: it is missing, and the metadata says ${expected.breakdown[name]}`),
    ...differences(found.breakdown, expected.breakdown),
  ];
  return [
    ...parts,
    ...differences(found.counts, expected.counts).filter(
      (text) => parts.length === 0 || !text.startsWith("rows:"),
    ),
  ];
}

function shortened(problems: readonly string[]): string[] {
  if (problems.length <= SHOWN) return [...problems];
  return [...problems.slice(0, SHOWN), `and ${problems.length - SHOWN} more`];
}
