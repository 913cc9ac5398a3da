import type { Found } from "../../../health/doctor/check.ts";
import { agesOf, WAITS_MS } from "../leftovers.ts";
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

/** Exactly the kinds that it takes: not what a restore replaced. */
const CLEANUP = { argv: ["opsctl", "cleanup", "--only", "scratch_databases"], safe: false } as const;

export const leftoverDatabases: PostgresCheck = {
  id: "postgres-leftover-databases",
  area: "postgres",
  title: "a drill or restore left a database behind",
  looks: "pg_database: names with __opsctl_ whose run holds no lock any more",
  async run(call, scope) {
    const rows = await ask<Row>(call, scope, LEFT);
    const loaded = rows.filter(({ kind }) => kind === "").map(({ name }) => name);
    const ages = await agesOf(call, scope.connection, loaded);
    return listed(rows, "databases that were left behind", ({ name, kind }) => ({
      subject: `database ${name}`,
      ...(OF_KIND[kind] ?? ofRestore)((ages.get(name) ?? -1) >= WAITS_MS),
    }));
  },
};

type Left = Omit<Found, "subject">;

const OF_KIND: Readonly<Record<string, () => Left>> = {
  drill_: () => ({
    severity: "warning",
    evidence: "made by a drill that is not running any more",
    cause: "the drill was killed: its copy takes disk until it is dropped",
    remedies: [CLEANUP],
  }),
  old_: () => ({
    severity: "info",
    evidence: "what a restore replaced; none is running",
    cause: "it takes disk; it is the way back from that restore, and cleanup never takes it",
    remedies: [],
    advice: "opsctl restore --rollback brings it back, opsctl restore --forget drops it",
  }),
};

/** @param isOld nobody goes on with a restore after so long */
function ofRestore(isOld: boolean): Left {
  return {
    severity: "info",
    evidence: "made by a restore that is not running any more",
    cause: "it takes disk; a restore that is not over still needs it",
    remedies: isOld ? [CLEANUP] : [],
    advice: isOld
      ? "opsctl restore --resume or --abort ends a restore that is not over"
      : "opsctl restore --resume or --abort ends a restore that is not over; cleanup takes it a week after it was made",
  };
}
