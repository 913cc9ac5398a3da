import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Change, MigrationTarget } from "../../migrate/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { failure } from "./errors.ts";
import { replaceAgentIndex } from "./migration-agents.ts";
import { applyFile, HISTORY_SCHEMA, readHistory } from "./migration-history.ts";
import { claimLock, type Held, keepLock, releaseLock } from "./migration-lock.ts";
import { splitCypher } from "./statements.ts";

/**
 * Every query here is understood from this version on (COUNT and COLLECT subqueries, SHOW … YIELD
 * owningConstraint).
 */
const OLDEST = [5, 13] as const;
const POLL_MS = 200;

/** Names of the indexes (those of constraints included) that the set `memory` makes. */
export const MEMORY_INDEXES: readonly string[] = [
  "agent_last_seen",
  "agent_name",
  "agent_status",
  "event_id",
  "event_timestamp",
  "fix_id",
  "fix_issue",
  "fix_success",
  "fix_timestamp",
  "issue_key",
  "memory_folded_key",
  "memory_id",
  "memory_text",
  "stat_id",
  "term_w",
];

const COUNTS = `RETURN COUNT { MATCH (n) } AS nodes, COUNT { MATCH (f:Fix) } AS fixes,
  COUNT { MATCH (a:Agent) } AS agents, COUNT { MATCH (i:Issue) } AS issues,
  COUNT { MATCH (m:Memory) WHERE m.deleted_at IS NULL } AS memories`;

export function neo4jMigrations(connection: Neo4jConnection): MigrationTarget {
  let held: Held | undefined;
  return {
    engine: "neo4j",
    history: (call) => readHistory(call, connection),
    prepare: (call, sets, dryRun) => prepare(call, connection, sets, dryRun),
    unavailable: (call) => tooOld(call, connection),

    async exclusively(call, work) {
      const claim = await claimLock(call, connection);
      held = claim;
      const renewal = keepLock(call, connection, claim);
      try {
        return await work();
      } finally {
        renewal.stop();
        held = undefined;
        await releaseLock(call, connection, claim);
      }
    },

    apply: (call, migration, row) => applyFile(call, connection, migration, row, held),
    statements: splitCypher,
    verify: (call) => verify(call, connection),
  };
}

async function prepare(
  call: Call,
  connection: Neo4jConnection,
  sets: readonly string[],
  dryRun: boolean,
): Promise<Change[]> {
  if (!dryRun) for (const statement of HISTORY_SCHEMA) await connection.command(call, statement);
  return sets.includes("memory") ? replaceAgentIndex(call, connection, dryRun) : [];
}

async function tooOld(call: Call, connection: Neo4jConnection): Promise<string | null> {
  const version = await connection.serverVersion(call);
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isOld = major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1]);
  return isOld ? `needs Neo4j ${OLDEST.join(".")} or newer; this one is ${version}` : null;
}

/**
 * Waits until the indexes are online, then counts as the guide's init_neo4j.py does: nodes, fixes, agents,
 * and more.
 */
async function verify(call: Call, connection: Neo4jConnection): Promise<Record<string, number>> {
  for (;;) {
    const states = await indexStates(call, connection);
    const failed = states.filter(({ state }) => state === "FAILED").map(({ name }) => name);
    if (failed.length > 0) {
      const hint = "see the server's log for the reason; drop the index and run opsctl init neo4j again";
      throw failure("failed", connection.place, `could not build the index ${failed.join(", ")}`, hint);
    }
    const online = states.filter(({ state }) => state === "ONLINE").length;
    if (online === states.length) {
      const [counts] = await connection.read<Record<string, number>>(call, COUNTS);
      return { ...counts, indexes: online };
    }
    call.progress({ label: "indexes", done: online, total: states.length, unit: "rows" });
    await delay(POLL_MS, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
  }
}

function indexStates(call: Call, connection: Neo4jConnection): Promise<{ name: string; state: string }[]> {
  const query = "SHOW INDEXES YIELD name, state WHERE name IN $names RETURN name, state";
  return connection.read(call, query, { names: MEMORY_INDEXES });
}
