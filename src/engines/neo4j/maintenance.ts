import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { Unknowable } from "../../health/doctor/check.ts";
import type { Maintenance, MaintenanceTask } from "../../maintain/port.ts";
import { INDEX_VERSION } from "../../memory/analyze.ts";
import type { Neo4jConnection } from "./connect.ts";
import { type Described, indexSizes, keyOf } from "./count-store.ts";
import { type FailedIndex, failedIndexes, rebuildIndex, whyFailed } from "./index-rebuild.ts";
import { type IndexState, outdatedIndex, renewIndex } from "./memory-renew.ts";
import { settingsOf, told } from "./server-facts.ts";

/** Where the setting `db.index_sampling.update_percentage` is not told: Neo4j's default. */
const OUTDATED_PERCENT = 5;
/** Fewer changes than this never make another plan. */
const MIN_UPDATES = 1_000;
const POLL_MS = 100;
/** For the statistics to be written after they were asked for; they are taken in the background. */
const SAMPLING_MS = 60_000;
const REPLAN_SECONDS = 60;

interface Sampled {
  name: string;
  size: number;
  updates: number;
}

/** Those whose statistics are taken. */
const NAMES = `SHOW INDEXES YIELD name, type, state, labelsOrTypes, properties
WHERE state = 'ONLINE' AND type IN ['RANGE', 'TEXT', 'POINT']
RETURN name, type, labelsOrTypes AS covered, properties`;

/** Statistics by which queries are planned, and indexes that could not be built. Neo4j keeps its files in order by itself. */
export function neo4jMaintenance(connection: Neo4jConnection): Maintenance {
  return {
    async plan(call, { all }) {
      const older = await outdatedIndex(call, connection);
      const failed = await failedIndexes(call, connection);
      const sampled = await samples(call, connection).catch((error: unknown) => {
        if (!(error instanceof Unknowable)) throw error;
        call.log("WARNING", `Neo4j: ${error.message}; index statistics are left to the server`);
        return [];
      });
      const percent = await outdatedPercent(call, connection);
      const outdated = sampled.filter(
        ({ size, updates }) =>
          all || (updates >= MIN_UPDATES && updates * 100 >= Math.max(1, size) * percent),
      );
      return [
        ...failed.map((index) => rebuild(connection, index)),
        ...(older ? [renew(connection, older)] : []),
        ...outdated.sort((a, b) => b.updates - a.updates).map((index) => resample(connection, index)),
        ...(outdated.length > 0 ? [replan(connection)] : []),
      ];
    },
  };
}

async function samples(call: Call, connection: Neo4jConnection): Promise<Sampled[]> {
  const names = await told<Described & { name: string }>(call, connection, "indexes", NAMES);
  const sizes = await indexSizes(call, connection);
  return names.flatMap((index) => {
    const row = sizes.get(keyOf(index));
    return row ? [{ name: index.name, size: row.size, updates: row.updates }] : [];
  });
}

async function outdatedPercent(call: Call, connection: Neo4jConnection): Promise<number> {
  const settings = await settingsOf(call, connection).catch(() => undefined);
  throwIfAborted(call);
  return Number(settings?.get("db.index_sampling.update_percentage") ?? OUTDATED_PERCENT);
}

function rebuild(connection: Neo4jConnection, index: FailedIndex): MaintenanceTask {
  const { name, problem, drop, create } = index;
  return {
    kind: "rebuild-index",
    subject: `index ${name}`,
    why: `it could not be built (${whyFailed(problem)}), so no query uses it`,
    statement: `${drop}; ${create}`,
    work_bytes: null,
    async run(call) {
      await rebuildIndex(call, connection, index);
      return { freed_bytes: null, note: null };
    },
  };
}

function renew(connection: Neo4jConnection, { version, documents }: IndexState): MaintenanceTask {
  return {
    kind: "renew-index",
    subject: "full-text index of the memory",
    why: `entries of version ${version}, of ${documents} in all, do not hold what version ${INDEX_VERSION} finds`,
    statement:
      "MATCH (m:Memory {id: …}) SET m.tokens = …, with the frequencies of its words, a few records at a time",
    work_bytes: null,
    async run(call) {
      const renewed = await renewIndex(call, connection);
      return { freed_bytes: null, note: `${renewed} entries were made anew` };
    },
  };
}

function resample(connection: Neo4jConnection, { name, size, updates }: Sampled): MaintenanceTask {
  return {
    kind: "resample-index",
    subject: `index ${name}`,
    why: `${updates} changes since its statistics were taken, of ${size} entries`,
    statement: `CALL db.resampleIndex('${name.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}')`,
    work_bytes: null,
    async run(call) {
      await connection.read(call, "CALL db.resampleIndex($name)", { name });
      const endAt = performance.now() + Math.min(SAMPLING_MS, call.remainingMs());
      while ((await samples(call, connection)).some((one) => one.name === name && one.updates > 0)) {
        if (performance.now() > endAt) {
          return { freed_bytes: null, note: "asked for; the server takes the sample when it has the time" };
        }
        await delay(POLL_MS, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
      }
      return { freed_bytes: null, note: null };
    },
  };
}

function replan(connection: Neo4jConnection): MaintenanceTask {
  return {
    kind: "replan",
    subject: "cached query plans",
    why: "they were made with the old statistics of the indexes",
    statement: `CALL db.prepareForReplanning(${REPLAN_SECONDS})`,
    work_bytes: null,
    async run(call) {
      const left = Math.min(REPLAN_SECONDS * 1_000, call.remainingMs());
      const seconds = Math.max(1, Math.floor(left / 1_000));
      await connection.read(call, "CALL db.prepareForReplanning($seconds)", { seconds: BigInt(seconds) });
      return { freed_bytes: null, note: null };
    },
  };
}
