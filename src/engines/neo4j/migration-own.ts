/** Migrations that delete everything (`MATCH (n) DETACH DELETE n`) would take the history and the lock along. */
import type { Call } from "../../call.ts";
import type { Neo4jConnection, Run } from "./connect.ts";
import { failure } from "./errors.ts";

/** How many nodes opsctl keeps: the rows of history, and the lock. */
export interface OwnNodes {
  rows: number;
  locks: number;
}

const COUNT = "RETURN COUNT { (:opsctl_migrations) } AS rows, COUNT { (:opsctl_lock) } AS locks";
const SPARE = "WHERE NOT n:opsctl_lock AND NOT n:opsctl_migrations";

export async function countOwn(call: Call, connection: Neo4jConnection): Promise<OwnNodes> {
  return (await connection.read<OwnNodes>(call, COUNT))[0]!;
}

/** @throws OpsError `failed` when the transaction has deleted some of what is there for everybody else */
export async function refuseLossIn(run: Run, call: Call, connection: Neo4jConnection): Promise<void> {
  const [inside] = await run<OwnNodes>(COUNT);
  if (!isLess(inside!, await countOwn(call, connection.aside()))) return;
  const what =
    "would lose nodes that opsctl keeps there (opsctl_migrations, opsctl_lock); nothing was deleted";
  throw failure("failed", connection.place, what, `leave them out: ${SPARE}`);
}

/** @throws OpsError `integrity` when a statement that committed by itself has deleted some of them */
export async function reportLoss(call: Call, connection: Neo4jConnection, before: OwnNodes): Promise<void> {
  if (!isLess(await countOwn(call, connection), before)) return;
  throw historyLost(connection);
}

export function historyLost({ place }: Pick<Neo4jConnection, "place">) {
  const what = "lost nodes that opsctl kept there (opsctl_migrations, opsctl_lock)";
  const hint = `opsctl migrate baseline records again what is applied; deletions must leave them out: ${SPARE}`;
  return failure("integrity", place, what, hint);
}

function isLess(now: OwnNodes, before: OwnNodes): boolean {
  return now.rows < before.rows || now.locks < before.locks;
}
