import type { Call } from "../../call.ts";
import type { Thresholds } from "../../config/thresholds.ts";
import { Unknowable } from "../../health/doctor/check.ts";
import type { Maintenance, MaintenanceTask } from "../../maintain/port.ts";
import type { Origin } from "../engine.ts";
import { bloat } from "./checks/bloat.ts";
import type { PostgresScope } from "./checks/kit.ts";
import { number } from "./checks/words.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { oneAtATime } from "./maintenance-lock.ts";
import { outdatedIndex } from "./maintenance-memory.ts";
import {
  type IndexWork,
  invalidIndexes,
  isStandby,
  type TableWork,
  tablesToVacuum,
} from "./maintenance-plan.ts";
import { vacuum, workOnIndex } from "./maintenance-run.ts";

/** How doctor names an index. */
const INDEX = "index ";
/** Bytes of a relation with all that belongs to it; null: it is not there. */
const SIZE = "SELECT pg_total_relation_size(to_regclass($1)) AS size";
const DEAD = "SELECT pg_stat_get_dead_tuples(to_regclass($1)) AS dead";

/**
 * Vacuums and reindexes what `doctor` flags by the same thresholds: invalid and bloated indexes, tables with dead rows, without statistics, old;
 * and makes the memory's index anew where an older program made it.
 */
export function postgresMaintenance(
  connection: PostgresConnection,
  { target, limits }: Origin,
  thresholds: Thresholds,
): Maintenance {
  return {
    async plan(call, { all }) {
      if (await isStandby(call, connection)) return [];
      const invalid = await invalidIndexes(call, connection);
      const tables = await tablesToVacuum(call, connection, thresholds, all);
      const bloated = await bloatedIndexes(call, {
        connection,
        target,
        limits,
        thresholds,
        root: "/",
      });
      return oneAtATime(connection, [
        ...invalid.map((index) => indexTask(connection, index)),
        ...(await outdatedIndex(call, connection)),
        ...tables.map((table) => vacuumTask(connection, table)),
        ...(await Promise.all(bloated.map((index) => bloatedTask(call, connection, index)))),
      ]);
    },
  };
}

/** Those that doctor finds; none where this user may not see the figures. */
async function bloatedIndexes(call: Call, scope: PostgresScope): Promise<{ name: string; why: string }[]> {
  try {
    const found = await bloat.run(call, scope);
    return found.flatMap(({ subject, evidence }) =>
      subject.startsWith(INDEX) ? [{ name: subject.slice(INDEX.length), why: evidence }] : [],
    );
  } catch (error) {
    if (error instanceof Unknowable) return [];
    throw error;
  }
}

function vacuumTask(connection: PostgresConnection, { name, why, size }: TableWork): MaintenanceTask {
  const statement = `VACUUM (ANALYZE) ${name}`;
  return {
    kind: "vacuum",
    subject: name,
    why,
    statement,
    work_bytes: size,
    async run(call) {
      const freed_bytes = await freedBy(call, connection, name, () => vacuum(call, connection, statement));
      const dead = (await connection.query<{ dead: number | null }>(call, DEAD, [name]))[0]!.dead ?? 0;
      const note = dead > 0 ? `${number(dead)} dead rows stay: a transaction or slot still needs them` : null;
      return { freed_bytes, note };
    },
  };
}

function indexTask(connection: PostgresConnection, { name, why, size, isCopy }: IndexWork): MaintenanceTask {
  const statement = `${isCopy ? "DROP" : "REINDEX"} INDEX CONCURRENTLY ${name}`;
  return {
    kind: isCopy ? "drop-index" : "reindex",
    subject: name,
    why,
    statement,
    work_bytes: isCopy ? 0 : size,
    async run(call) {
      const work = () => workOnIndex(call, connection, statement);
      try {
        return { freed_bytes: await freedBy(call, connection, name, work), note: null };
      } catch (error) {
        if (sqlState(error) !== "23505") throw error;
        return { freed_bytes: 0, note: "it stays invalid: a unique index takes no value twice" };
      }
    },
  };
}

async function bloatedTask(
  call: Call,
  connection: PostgresConnection,
  { name, why }: { name: string; why: string },
): Promise<MaintenanceTask> {
  const size = (await sizeOf(call, connection, name)) ?? 0;
  return indexTask(connection, { name, why, size, isCopy: false });
}

/** Bytes that are fewer afterwards; negative: it has grown. */
async function freedBy(
  call: Call,
  connection: PostgresConnection,
  name: string,
  work: () => Promise<void>,
): Promise<number | null> {
  const before = await sizeOf(call, connection, name);
  await work();
  const after = await sizeOf(call, connection, name);
  return before === null ? null : before - (after ?? 0);
}

async function sizeOf(call: Call, connection: PostgresConnection, name: string): Promise<number | null> {
  return (await connection.query<{ size: number | null }>(call, SIZE, [name]))[0]!.size;
}
