import type { MemoryStore } from "../../memory/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { exportEvents } from "./memory-export.ts";
import { readAgents, readByIds, readCounts, readEvents, readRecords } from "./memory-read.ts";
import { readCandidates, readKeyMatches, readTerms, readVocabulary } from "./memory-search.ts";
import { countTombstones, pruneTombstones } from "./memory-tombstones.ts";
import { readHistogram, readSimilar, readSuccessCounts } from "./memory-views.ts";
import { applyWrites } from "./memory-write.ts";

/** The memory in PostgreSQL. Its schema is made by `opsctl init postgres`, never here. */
export function postgresMemory(connection: PostgresConnection): MemoryStore {
  return {
    engine: "postgres",
    apply: async (call, writes) =>
      writes.length === 0
        ? []
        : connection.transaction(call, (session) => applyWrites(session, connection.where, writes)),
    agents: (call, status) => readAgents(connection, call, status),
    records: (call, filter, page) => readRecords(connection, call, filter, page),
    events: (call, filter, page) => readEvents(connection, call, filter, page),
    byIds: (call, ids) => readByIds(connection, call, ids),
    export: (call) => exportEvents(connection, call),
    keyMatches: (call, key, filter, limit) => readKeyMatches(connection, call, key, filter, limit),
    terms: (call, terms) => readTerms(connection, call, terms),
    candidates: (call, wanted, filter, limit, rows) =>
      readCandidates(connection, call, wanted, filter, limit, rows),
    vocabulary: (call, pieces, lengths, limit) => readVocabulary(connection, call, pieces, lengths, limit),
    similar: (call, query) => readSimilar(connection, call, query),
    histogram: (call, keys, window) => readHistogram(connection, call, keys, window),
    successCounts: (call, type, since) => readSuccessCounts(connection, call, type, since),
    counts: (call) => readCounts(connection, call),
    tombstones: (call, beforeMs) => countTombstones(connection, call, beforeMs),
    pruneTombstones: (call, beforeMs) => pruneTombstones(connection, call, beforeMs),
  };
}
