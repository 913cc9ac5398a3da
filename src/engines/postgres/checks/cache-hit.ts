import { bytes } from "../../../amounts.ts";
import { ask, type PostgresCheck, toSet } from "./kit.ts";
import { percent } from "./words.ts";

/** Blocks asked for, from which a ratio means something. */
const BLOCKS = 100_000;

interface Row {
  database: string;
  hits: number;
  read_bytes: number;
  blocks: number;
  buffers: number;
}

export const cacheHit: PostgresCheck = {
  id: "postgres-cache-hit",
  area: "postgres",
  title: "too much is read past the cache",
  looks: "pg_stat_database: blks_hit against blks_read",
  async run(call, scope) {
    const [row] = await ask<Row>(
      call,
      scope,
      `SELECT datname AS database, blks_hit AS hits, blks_hit + blks_read AS blocks,
         blks_read * current_setting('block_size')::int8 AS read_bytes, pg_size_bytes(current_setting('shared_buffers')) AS buffers
       FROM pg_stat_database WHERE datname = current_database()`,
    );
    // a cache is filled by reading: only what goes beyond it was read again
    if (!row || row.blocks < BLOCKS || row.read_bytes < 2 * row.buffers) return [];
    const ratio = (100 * row.hits) / row.blocks;
    if (ratio >= scope.thresholds.cache_hit) return [];
    const { advice, remedies } = await toSet(call, scope, "shared_buffers", bytesFor(2 * row.buffers));
    return [
      {
        severity: "warning",
        subject: `database ${row.database}`,
        evidence: `${percent(ratio)} of the blocks were found in shared_buffers (${bytes(row.buffers)}), wanted: ${scope.thresholds.cache_hit} %; ${bytes(row.read_bytes)} were read past it`,
        cause: "what is used often does not fit into shared_buffers, or queries read whole tables",
        remedies,
        advice: `look for postgres-missing-index first; then up to a quarter of the memory, for example ${advice ?? ""}. SELECT pg_stat_reset() begins the counts anew`,
      },
    ];
  },
};

/** As a setting: `256MB`. */
function bytesFor(count: number): string {
  return `${Math.ceil(count / 1_048_576)}MB`;
}
