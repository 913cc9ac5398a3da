import { LOCK_CLASS } from "../restore-session.ts";
import { ask, listed, type PostgresCheck, TOP } from "./kit.ts";

interface Row {
  name: string;
  kind: string;
  total: number;
}

/** The name says what made it, and the id whose lock a run holds as long as it lives. */
const LEFT = `SELECT d.datname AS name, coalesce(m[1], '') AS kind, count(*) OVER () AS total
  FROM pg_database d, regexp_match(d.datname, '__opsctl_(old_|drill_)?([0-9a-f]{8})$') m
  WHERE m IS NOT NULL AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid::int8 = ${LOCK_CLASS}
    AND l.objsubid = 2 AND l.objid::int8 = ('x' || m[2])::bit(32)::int8)
  ORDER BY 1 LIMIT ${TOP}`;

export const leftoverDatabases: PostgresCheck = {
  id: "postgres-leftover-databases",
  area: "postgres",
  title: "a drill or restore left a database behind",
  looks: "pg_database: names with __opsctl_ whose run holds no lock any more",
  async run(call, scope) {
    const rows = await ask<Row>(call, scope, LEFT);
    return listed(rows, "databases that were left behind", ({ name, kind }) => ({
      severity: kind === "drill_" ? "warning" : "info",
      subject: `database ${name}`,
      evidence:
        kind === "drill_"
          ? "made by a drill that is not running any more"
          : kind === "old_"
            ? "what a restore replaced; none is running"
            : "made by a restore that is not running any more",
      cause:
        kind === "drill_"
          ? "the drill was killed: its copy takes disk until it is dropped"
          : "it takes disk; a restore that is not over, or is to be rolled back, still needs it",
      remedies: [{ argv: ["opsctl", "cleanup"], safe: false }],
      ...(kind === "drill_"
        ? {}
        : { advice: "opsctl restore --resume or --abort ends a restore that is not over" }),
    }));
  },
};
