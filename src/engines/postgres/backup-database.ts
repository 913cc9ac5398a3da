import {
  type BackupPart,
  type Copied,
  fileName,
  type PartFacts,
  type PartOutput,
  type Snapshot,
} from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import { notesOn, requireReadable } from "./backup-access.ts";
import { copyDump } from "./backup-copy.ts";
import { totals } from "./backup-parse.ts";
import { PartSession } from "./backup-session.ts";
import { requireTools } from "./client-tools.ts";
import type { PostgresConnection } from "./connect.ts";

/** The part of the roles and tablespaces, and the name of its file. */
export const GLOBALS = "globals";

/** Indexes are not in a dump. What the planner knows of them needs no lock on them. */
const SERVER = `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int / 10000 AS major,
  greatest(0, pg_database_size(current_database()) - (SELECT coalesce(sum(relpages::bigint), 0) * current_setting('block_size')::bigint
    FROM pg_class WHERE relkind = 'i'))::bigint AS size`;

/** The LSN is where the log stood when the snapshot was taken, or a little later. */
const SNAPSHOT = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
  SELECT pg_export_snapshot() AS snapshot, pg_current_snapshot()::text AS transactions, pg_is_in_recovery() AS standby,
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn`;

/** As pg_dump names them TABLE: partitioned tables and partitions too, not what belongs to extensions. */
const TABLES = `SELECT count(*) AS tables FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;

/** One database, as of a snapshot that a session of ours exports and pg_dump imports. */
export class DatabasePart implements BackupPart {
  readonly engine = "postgres";
  readonly name: string;
  readonly source: string;
  readonly isSlowToPrepare = false;
  readonly #connection: PostgresConnection;
  #session: PartSession | undefined;
  #snapshot = "";
  #size = 0;

  /** @param connection to the database, ours alone */
  constructor(connection: PostgresConnection) {
    const { address, database } = connection.where;
    this.#connection = connection;
    this.name = partName(database);
    this.source = `postgresql://${address}/${encodeURIComponent(database)}`;
  }

  async open(call: Call): Promise<PartFacts> {
    this.#session = await PartSession.open(call, this.#connection);
    const session = this.#session;
    const [server] = await session.query<{ version: string; major: number; size: number }>(call, SERVER);
    const { version, major, size } = server!;
    const { address } = this.#connection.where;
    const tools = await requireTools(call, ["pg_dump", "pg_restore"], major, address);
    await requireReadable(call, session);
    this.#size = size;
    return {
      server_version: version,
      tools,
      // the custom file and the plain one
      estimate_bytes: 2 * size,
      scratch_bytes: 0,
      notes: await notesOn(call, session),
    };
  }

  async prepare(call: Call): Promise<Snapshot> {
    // before the question: whatever was committed by then is in the snapshot
    const at = Date.now();
    const [row] = await this.#session!.query<{
      snapshot: string;
      transactions: string;
      lsn: string;
      standby: boolean;
    }>(call, SNAPSHOT);
    this.#snapshot = row!.snapshot;
    return { at, identity: { database: this.#connection.where.database, ...row! } };
  }

  async copy(call: Call, out: PartOutput): Promise<Copied> {
    const session = this.#session!;
    const order = { session, snapshot: this.#snapshot, path: this.#path, size: this.#size };
    const [catalogue] = await session.query<{ tables: number }>(call, TABLES);
    const { tables = catalogue!.tables, rows, largeObjects, warnings } = await copyDump(call, order, out);
    const notes = [...warnings];
    if (tables !== catalogue!.tables) {
      notes.push(`the dump has ${tables} tables, and the catalogue ${catalogue!.tables}`);
    }
    return {
      consistency: "consistent",
      reason: null,
      counts: { tables, ...(rows && totals(rows, largeObjects)) },
      breakdown: rows ?? {},
      notes,
    };
  }

  async close(): Promise<void> {
    this.#session?.close();
    await this.#connection.close();
  }

  /** In the set; a database of the name of the globals has another, which is the same name when it is decoded. */
  get #path(): string {
    const { database } = this.#connection.where;
    return `postgres/${database === GLOBALS ? "%67lobals" : fileName(database)}`;
  }
}

/** Unique beside the globals: a database of that name, or one in quotes, is shown in quotes. */
function partName(database: string): string {
  return database === GLOBALS || database.startsWith('"') ? `"${database}"` : database;
}
