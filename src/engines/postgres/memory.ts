import type { MemoryStore } from "../../memory/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { exportEvents } from "./memory-export.ts";
import {
  readAgents,
  readByIds,
  readCounts,
  readEvents,
  readRecords,
  readSimilar,
  readSuccessCounts,
} from "./memory-read.ts";
import { readCandidates, readKeyMatches, readTerms } from "./memory-search.ts";
import { countTombstones, pruneTombstones } from "./memory-tombstones.ts";
import { applyWrites } from "./memory-write.ts";

/** The memory in PostgreSQL. Its schema is made by `opsctl init postgres`, never here. */
export function postgresMemory(connection: PostgresConnection): MemoryStore {
  return {
    engine: "postgres",
    apply: async (call, writes) =>
      writes.length === 0 ? [] : connection.transaction(call, (session) => applyWrites(session, writes)),
    agents: (call, status) => readAgents(connection, call, status),
    records: (call, filter, page) => readRecords(connection, call, filter, page),
    events: (call, filter, page) => readEvents(connection, call, filter, page),
    byIds: (call, ids) => readByIds(connection, call, ids),
    export: (call) => exportEvents(connection, call),
    keyMatches: (call, key, filter, limit) => readKeyMatches(connection, call, key, filter, limit),
    terms: (call, terms) => readTerms(connection, call, terms),
    candidates: (call, terms, filter, limit) => readCandidates(connection, call, terms, filter, limit),
    similar: (call, type, since, limit) => readSimilar(connection, call, type, since, limit),
    successCounts: (call, type, since) => readSuccessCounts(connection, call, type, since),
    counts: (call) => readCounts(connection, call),
    tombstones: (call, beforeMs) => countTombstones(connection, call, beforeMs),
    pruneTombstones: (call, beforeMs) => pruneTombstones(connection, call, beforeMs),
  };
}
