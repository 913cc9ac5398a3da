/** Indexes that Neo4j could not build. */
import type { Call } from "../../call.ts";
import type { Neo4jConnection } from "./connect.ts";
import { awaitIndexes, quoted } from "./migration-schema.ts";
import { told } from "./server-facts.ts";

export interface FailedIndex {
  name: string;
  /** The server's words: they may quote values, never print them. */
  problem: string;
  /** Statements that make it anew, in this order. */
  drop: string;
  create: string;
}

const FAILED = `SHOW INDEXES YIELD name, state, failureMessage, createStatement, owningConstraint
WHERE state = 'FAILED' AND owningConstraint IS NULL
RETURN name, failureMessage AS problem, createStatement AS create ORDER BY name`;

/** Those that stand alone; that of a constraint comes and goes with it. @throws Unknowable, OpsError as `told` */
export async function failedIndexes(call: Call, connection: Neo4jConnection): Promise<FailedIndex[]> {
  const rows = await told<Omit<FailedIndex, "drop">>(call, connection, "indexes", FAILED);
  return rows.map((row) => ({ ...row, drop: `DROP INDEX ${quoted(row.name)} IF EXISTS` }));
}

/** What may be said of it. */
export function whyFailed(problem: string): string {
  return /too large to index/.test(problem)
    ? "a value is larger than the 8 KB that a range index takes"
    : "the server's debug.log says why";
}

/**
 * Drops it and makes it again, in one transaction: a kill leaves either the old one or the new one. Waits until it can be used.
 * @throws OpsError `failed` when it cannot be built this time either
 */
export async function rebuildIndex(
  call: Call,
  connection: Neo4jConnection,
  { name, drop, create }: FailedIndex,
): Promise<void> {
  await connection.write(call, async (run) => {
    await run(drop);
    await run(create);
  });
  await awaitIndexes(call, connection, (index) => index === name, false);
}
