/** What was in a database before opsctl came. Reads only. */
import type { Format, PeerHistory } from "../../migrate/port.ts";
import { ownedNames } from "../../migrate/sets.ts";
import { sqlState } from "./errors.ts";
import type { Ask } from "./migration-history.ts";

const MAX_NAMES = 5;

/** Tables, views and the like that neither opsctl nor an extension made; a history that search_path leaves out is named as such. */
export async function occupantsOf(ask: Ask): Promise<string[]> {
  const rows = await unlessMissing(
    ask<{ name: string }>(
      `SELECT CASE WHEN c.relname = 'opsctl_migrations' THEN format('%I.%I, which search_path leaves out', n.nspname, c.relname)
         WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE format('%I.%I', n.nspname, c.relname) END AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
         AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
         AND c.relname <> ALL ($1::text[])
         AND (c.relname !~ '^opsctl_' OR (c.relname = 'opsctl_migrations' AND to_regclass('opsctl_migrations') IS NULL))
         AND NOT EXISTS (SELECT FROM pg_depend d
           WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
       ORDER BY c.relname <> 'opsctl_migrations', n.nspname, c.relname LIMIT $2`,
      [ownedNames("postgres"), MAX_NAMES],
    ),
  );
  return rows.map(({ name }) => name);
}

/** Where other tools keep their history, and what their columns are called. */
const PEERS: Readonly<
  Record<Exclude<Format, "opsctl">, { table: string; isTheirs(columns: Columns): boolean }>
> = {
  "golang-migrate": {
    table: "schema_migrations",
    isTheirs: ({ version, dirty }) => version === "int8" && dirty === "bool",
  },
  dbmate: {
    table: "schema_migrations",
    isTheirs: ({ version, dirty }) => version === "varchar" && dirty === undefined,
  },
  diesel: {
    table: "__diesel_schema_migrations",
    isTheirs: ({ version, run_on }) => version === "varchar" && run_on !== undefined,
  },
};

type Columns = Record<string, string | undefined>;

/** What another tool recorded; null: its table is not there, or somebody else's of that name. */
export async function peerHistoryOf(ask: Ask, format: Format): Promise<PeerHistory | null> {
  if (format === "opsctl") return null;
  const { table, isTheirs } = PEERS[format];
  const found = await unlessMissing(
    ask<{ name: string; columns: Columns }>(
      `SELECT format('%I.%I', n.nspname, c.relname) AS name, json_object_agg(a.attname, t.typname) AS columns
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         JOIN pg_type t ON t.oid = a.atttypid
       WHERE c.oid = to_regclass($1) GROUP BY 1`,
      [table],
    ),
  );
  const [known] = found;
  if (!known || !isTheirs(known.columns)) return null;
  const isGolang = format === "golang-migrate";
  const dirty = isGolang ? "dirty" : "false";
  const rows = await ask<{ version: string; dirty: boolean }>(
    `SELECT version::text AS version, ${dirty} AS dirty FROM ${known.name} ORDER BY 1`,
  );
  return {
    table: known.name,
    versions: rows.map(({ version }) => version),
    lastOnly: isGolang,
    dirty: rows.some((row) => row.dirty),
  };
}

/** A database that is still to be created holds nothing. */
async function unlessMissing<R>(rows: Promise<R[]>): Promise<R[]> {
  try {
    return await rows;
  } catch (error) {
    if (sqlState(error) === "3D000") return [];
    throw error;
  }
}
