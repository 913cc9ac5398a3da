import type { Call } from "../../call.ts";
import type { PostgresConnection } from "./connect.ts";

function indexesOf(tables: readonly string[]): string {
  const relations = tables.map((table) => `to_regclass('${table}')`).join(", ");
  return `(SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid IN (${relations})) AS indexes`;
}

const MEMORY_TABLES = [
  "memori_metadata",
  "memori_events",
  "memori_agents",
  "memori_terms",
  "memori_statistics",
];

/** What the tables of each set hold, and how many of their indexes can be used. */
const COUNTS: Readonly<Record<string, string>> = {
  memory: `SELECT (SELECT documents FROM memori_statistics) AS records,
    (SELECT count(*) FROM memori_events) AS events, (SELECT count(*) FROM memori_agents) AS agents,
    (SELECT count(*) FROM memori_terms) AS terms,
    ${indexesOf(MEMORY_TABLES)}`,
  vectors: `SELECT count(*) AS embeddings, ${indexesOf(["memori_embeddings"])} FROM memori_embeddings`,
};

/**
 * Counts of a shipped set; nothing for any other. Indexes are built inside the file's transaction, so there
 * is no wait.
 */
export async function countSet(
  connection: PostgresConnection,
  call: Call,
  set: string,
): Promise<Record<string, number>> {
  const sql = COUNTS[set];
  if (sql === undefined) return {};
  const rows = await connection.query<Record<string, number>>(call, sql);
  return rows[0]!;
}
