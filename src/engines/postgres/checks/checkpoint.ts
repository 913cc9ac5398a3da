import { bytes } from "../../../amounts.ts";
import { ask, type PostgresCheck, toSet } from "./kit.ts";

/** Fewer forced checkpoints say nothing. */
const FORCED = 10;

interface Row {
  timed: number;
  forced: number;
  wal: number;
  max: number;
  target: number;
}

const IS_MODERN = "SELECT to_regclass('pg_catalog.pg_stat_checkpointer') IS NOT NULL AS modern";
const FIGURES = `pg_size_bytes(current_setting('max_wal_size')) AS max, current_setting('checkpoint_completion_target')::float8 AS target,
  (SELECT wal_bytes::float8 FROM pg_stat_wal) AS wal`;

export const checkpoint: PostgresCheck = {
  id: "postgres-checkpoint",
  area: "postgres",
  title: "checkpoints come too often or too abruptly",
  looks: "forced against timed checkpoints, WAL written, max_wal_size, checkpoint_completion_target",
  async run(call, scope) {
    const [version] = await ask<{ modern: boolean }>(call, scope, IS_MODERN);
    const source = version!.modern
      ? "num_timed AS timed, num_requested AS forced FROM pg_stat_checkpointer"
      : "checkpoints_timed AS timed, checkpoints_req AS forced FROM pg_stat_bgwriter";
    const [row] = await ask<Row>(call, scope, `SELECT ${FIGURES}, ${source}`);
    const { timed, forced, wal, max, target } = row!;
    const found = [];
    // one that the volume forces comes after about half of max_wal_size; CHECKPOINT, DROP DATABASE and backups force them, too
    if (forced >= FORCED && forced > timed && wal >= forced * max * 0.3) {
      found.push({
        severity: "warning" as const,
        subject: "max_wal_size",
        evidence: `${forced} checkpoints were forced and ${timed} came by time; ${bytes(wal)} of WAL were written with max_wal_size ${bytes(max)}`,
        cause:
          "writes fill the log faster than checkpoint_timeout: each checkpoint writes much at once, and full pages again after it",
        ...(await toSet(call, scope, "max_wal_size", `${Math.ceil((2 * max) / 1_048_576)}MB`)),
      });
    }
    if (target < 0.9) {
      found.push({
        severity: "info" as const,
        subject: "checkpoint_completion_target",
        evidence: `${target}, advised: 0.9`,
        cause: "checkpoints write their pages in a burst, and queries wait for the disk meanwhile",
        ...(await toSet(call, scope, "checkpoint_completion_target", "0.9", true)),
      });
    }
    return found;
  },
};
