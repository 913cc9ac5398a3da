import type { MemoryStore } from "../../memory/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { exportEvents, readAgents, readByIds, readCounts, readEvents, readRecords } from "./memory-read.ts";
import { readCandidates, readKeyMatches, readTerms, readVocabulary } from "./memory-recall.ts";
import { countTombstones, pruneTombstones } from "./memory-tombstones.ts";
import { readHistogram, readSimilar, readSuccessCounts } from "./memory-views.ts";
import { applyWrites } from "./memory-write.ts";

/** The memory in a Neo4j database that `opsctl init neo4j` has prepared. */
export function neo4jMemory(connection: Neo4jConnection): MemoryStore {
  return {
    engine: "neo4j",
    apply: (call, writes) => applyWrites(call, connection, writes),
    agents: (call, status) => readAgents(call, connection, status),
    records: (call, filter, page) => readRecords(call, connection, filter, page),
    events: (call, filter, page) => readEvents(call, connection, filter, page),
    byIds: (call, ids) => readByIds(call, connection, ids),
    export: (call) => exportEvents(call, connection),
    keyMatches: (call, key, filter, limit) => readKeyMatches(call, connection, key, filter, limit),
    terms: (call, terms) => readTerms(call, connection, terms),
    candidates: (call, wanted, filter, limit, rows) =>
      readCandidates(call, connection, wanted, filter, limit, rows),
    vocabulary: (call, pieces, lengths, limit) => readVocabulary(call, connection, pieces, lengths, limit),
    similar: (call, query) => readSimilar(call, connection, query),
    histogram: (call, keys, window) => readHistogram(call, connection, keys, window),
    successCounts: (call, type, since) => readSuccessCounts(call, connection, type, since),
    counts: (call) => readCounts(call, connection),
    tombstones: (call, beforeMs) => countTombstones(call, connection, beforeMs),
    pruneTombstones: (call, beforeMs) => pruneTombstones(call, connection, beforeMs),
  };
}
