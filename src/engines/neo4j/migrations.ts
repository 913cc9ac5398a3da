import type { Call } from "../../call.ts";
import type { Change, HistoryRow, MigrationTarget } from "../../migrate/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { checkCypher } from "./cypher-check.ts";
import { kindOf, schemaChange } from "./cypher-kind.ts";
import { replaceAgentIndex } from "./migration-agents.ts";
import { dumpSchema, findOccupants, verifySet } from "./migration-catalogue.ts";
import { ensureHistory, readHistory, saveRows } from "./migration-history.ts";
import { type Held, withLock } from "./migration-lock.ts";
import { runScript } from "./migration-run.ts";
import { splitCypher } from "./statements.ts";

/**
 * Every query here is understood from this version on (COUNT and COLLECT subqueries, SHOW … YIELD
 * owningConstraint).
 */
const OLDEST = [5, 13] as const;

/**
 * Migrations of Neo4j. It has no limit for waiting on locks that one transaction could set (`lockTimeoutMs`): a statement that
 * waits is ended by its own limit.
 */
export function neo4jMigrations(connection: Neo4jConnection): MigrationTarget {
  let held: Held | undefined;
  /** What history said last while the lock was held: nobody else writes into it. */
  let seen: HistoryRow[] | undefined;
  const lock = (): Held => {
    if (!held) throw new Error("migrations run inside `exclusively`");
    return held;
  };
  const history = async (call: Call) => {
    seen = await readHistory(call, connection);
    return seen;
  };
  return {
    engine: "neo4j",
    history,
    prepare: (call, sets, dryRun) => prepare(call, connection, sets, dryRun),
    unavailable: (call) => tooOld(call, connection),
    occupants: (call) => findOccupants(call, connection),
    peerHistory: async () => null,
    check: checkCypher,
    statements: splitCypher,
    repeatable: ({ text }) => kindOf(text) === "data" || schemaChange(text) !== undefined,
    exclusively: (call, waitMs, work) =>
      withLock(call, connection, waitMs, async (claimed) => {
        held = claimed;
        seen = undefined;
        try {
          return await work();
        } finally {
          held = undefined;
        }
      }),
    async run(call, step) {
      const { set_name, version } = step.row;
      const isRow = (row: HistoryRow) => row.set_name === set_name && row.version === version;
      const rows = seen ?? (await history(call));
      seen = rows.filter((row) => !isRow(row));
      await runScript(call, connection, lock(), step, rows.find(isRow));
    },
    async record(call, rows) {
      seen = undefined;
      await saveRows(call, connection, lock(), rows);
    },
    verify: (call, set) => verifySet(call, connection, set),
    dump: (call) => dumpSchema(call, connection),
  };
}

async function prepare(
  call: Call,
  connection: Neo4jConnection,
  sets: readonly string[],
  dryRun: boolean,
): Promise<Change[]> {
  if (!dryRun) await ensureHistory(call, connection);
  return sets.includes("memory") ? replaceAgentIndex(call, connection, dryRun) : [];
}

async function tooOld(call: Call, connection: Neo4jConnection): Promise<string | null> {
  const version = await connection.serverVersion(call);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  return isOld ? `needs Neo4j ${OLDEST.join(".")} or newer; this one is ${version}` : null;
}
