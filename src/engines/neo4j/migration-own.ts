/** Migrations that delete everything (`MATCH (n) DETACH DELETE n`) would take the history and the lock along. */
import type { Call } from "../../call.ts";
import type { HistoryRow } from "../../migrate/port.ts";
import type { Neo4jConnection, Run } from "./connect.ts";
import { failure } from "./errors.ts";

/** How many nodes opsctl keeps: the lock, and rows of history, without that of the version under way. */
export interface OwnNodes {
  rows: number;
  locks: number;
}

type Version = Pick<HistoryRow, "set_name" | "version">;

const COUNT = `RETURN COUNT { (:opsctl_lock) } AS locks,
COUNT { MATCH (h:opsctl_migrations) WHERE h.set_name <> $set_name OR h.version <> $version } AS rows`;
const SPARE = "WHERE NOT n:opsctl_lock AND NOT n:opsctl_migrations";

export async function countOwn(
  call: Call,
  connection: Neo4jConnection,
  { set_name, version }: Version,
): Promise<OwnNodes> {
  return (await connection.read<OwnNodes>(call, COUNT, { set_name, version }))[0]!;
}

/** @throws OpsError `failed` when the transaction has deleted some of what is there for everybody else */
export async function refuseLossIn(
  run: Run,
  call: Call,
  connection: Neo4jConnection,
  row: Version,
): Promise<void> {
  const [inside] = await run<OwnNodes>(COUNT, { set_name: row.set_name, version: row.version });
  if (!isLess(inside!, await countOwn(call, connection.aside(), row))) return;
  const what =
    "would lose nodes that opsctl keeps there (opsctl_migrations, opsctl_lock); nothing was deleted";
  throw failure("failed", connection.place, what, `leave them out: ${SPARE}`);
}

/** @throws OpsError `integrity` when a statement that committed by itself has deleted some of them */
export async function reportLoss(
  call: Call,
  connection: Neo4jConnection,
  row: Version,
  before: OwnNodes,
): Promise<void> {
  if (isLess(await countOwn(call, connection, row), before)) throw historyLost(connection);
}

export function historyLost({ place }: Pick<Neo4jConnection, "place">) {
  const what = "lost nodes that opsctl kept there (opsctl_migrations, opsctl_lock)";
  const hint = `opsctl migrate baseline neo4j VERSION records again what is applied; deletions must leave them out: ${SPARE}`;
  return failure("integrity", place, what, hint);
}

function isLess(now: OwnNodes, before: OwnNodes): boolean {
  return now.rows < before.rows || now.locks < before.locks;
}
