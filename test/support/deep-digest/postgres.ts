import { createHash } from "node:crypto";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { execa } from "execa";
import pg from "pg";
import { findPostgres } from "../../../scripts/services/tools.ts";
import type { DeepDigest } from "../deep-digest.ts";
import { digestOf } from "./multiset.ts";

/** Rows as text are the same in every session. */
const SESSION = `SET extra_float_digits = 3; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'iso_8601'; SET timezone = 'UTC';
SET bytea_output = 'hex'; SET xmloption = 'content'; SET search_path = ''; SET row_security = off; SET max_parallel_workers_per_gather = 0`;

const RELATIONS = `SELECT format('%I.%I', n.nspname, c.relname) AS name, c.relkind AS kind, c.relispopulated AS populated
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ORDER BY 1`;

/** What `pg_dump --schema-only` says nothing of: an index that is not valid is not even in it. */
const CATALOGUES: Readonly<Record<string, string>> = {
  database: `SELECT d.datdba::regrole, pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, d.datctype, d.datlocprovider,
      d.datistemplate, d.datallowconn, d.datconnlimit, pg_catalog.shobj_description(d.oid, 'pg_database'),
      (SELECT array_agg(format('%s %s %s %s', a.grantor::regrole, a.grantee::regrole, a.privilege_type, a.is_grantable) ORDER BY a.grantor::regrole::text, a.grantee::regrole::text, a.privilege_type)
        FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a)
    FROM pg_catalog.pg_database d WHERE d.datname = current_database()`,
  "database settings": `SELECT s.setrole::regrole, (SELECT array_agg(c ORDER BY c) FROM unnest(s.setconfig) c)
    FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database()`,
  extensions: `SELECT extname, extversion, extnamespace::regnamespace FROM pg_catalog.pg_extension`,
  indexes: `SELECT pg_catalog.pg_get_indexdef(indexrelid), indisvalid, indisready, indislive, indisclustered, indisreplident
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`,
  "large objects": `SELECT oid, lomowner::regrole, lomacl, pg_catalog.sha256(pg_catalog.lo_get(oid)) FROM pg_catalog.pg_largeobject_metadata`,
};

/** Lines of a dump that differ from one to the next. */
const CHANGING = /^(\\(un)?restrict |-- (Dumped|Started|Completed) )/;

/** Of the database of a URL, as a superuser. Every row is read by the server, none leaves it. */
export async function postgresDigest(url: string): Promise<DeepDigest> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query(SESSION);
    const digests: Record<string, string> = { schema: await schemaDigest(url) };
    for (const [name, query] of Object.entries(CATALOGUES)) {
      const { rows } = await client.query<unknown[]>({ text: query, rowMode: "array" });
      digests[name] = digestOf(rows.map((row) => JSON.stringify(row)));
    }
    const { rows } = await client.query<{ name: string; kind: string; populated: boolean }>(RELATIONS);
    for (const { name, kind, populated } of rows) {
      if (kind === "S") digests[`sequence ${name}`] = await sequenceState(client, name);
      else digests[`rows ${name}`] = populated ? await rowsDigest(client, name) : "not populated";
    }
    return digests;
  } finally {
    await client.end();
  }
}

/** Number of rows, and sums of two hashes of each. */
async function rowsDigest(client: pg.Client, name: string): Promise<string> {
  const hash = (seed: number) => `sum(pg_catalog.hashtextextended(content, ${seed}))`;
  // OFFSET: a row is made text once
  const contents = `SELECT (_row_.*)::text AS content FROM ONLY ${name} AS _row_ OFFSET 0`;
  const { rows } = await client.query<unknown[]>({
    text: `SELECT count(*), ${hash(1)}, ${hash(2)} FROM (${contents}) AS rows`,
    rowMode: "array",
  });
  return rows[0]!.join(" ");
}

/** Without `log_cnt`, which says how many values are in the write-ahead log already. */
async function sequenceState(client: pg.Client, name: string): Promise<string> {
  const { rows } = await client.query<unknown[]>({
    text: `SELECT last_value, is_called FROM ${name}`,
    rowMode: "array",
  });
  return rows[0]!.join(" ");
}

async function schemaDigest(url: string): Promise<string> {
  const tools = await findPostgres();
  if (!tools) throw new Error("pg_dump is not installed");
  const address = new URL(url);
  const env = { PGPASSWORD: decodeURIComponent(address.password) };
  address.password = "";
  const program = join(tools.bin, "pg_dump");
  const dump = execa(program, ["--schema-only", "-d", address.href], { env, buffer: { stdout: false } });
  const hash = createHash("sha256");
  for await (const line of createInterface({ input: dump.stdout }))
    if (!CHANGING.test(line)) hash.update(`${line}\n`);
  await dump;
  return hash.digest("hex");
}
