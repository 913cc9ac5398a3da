import type { Call } from "../../call.ts";
import type { MemoryStore } from "../../memory/port.ts";
import { setsOf } from "../../migrate/sets.ts";
import { IN_MEMORY, type SqliteConnection, sqliteConnection } from "./connect.ts";
import { sqliteError } from "./errors.ts";
import { refuseNewerIndex } from "./index-version.ts";
import {
  iterateEvents,
  readAgents,
  readByIds,
  readEvents,
  readKeyMatches,
  readRecords,
} from "./memory-read.ts";
import { readCandidates, readTerms, readVocabulary } from "./memory-search.ts";
import { countTombstones, pruneTombstones } from "./memory-tombstones.ts";
import { readCounts, readHistogram, readSimilar, readSuccessCounts } from "./memory-views.ts";
import { SqliteWriter } from "./memory-write.ts";
import { ensureSchema } from "./schema.ts";

/** The memory in one SQLite file. Its schema is made, or brought up to date, on first use. */
export function sqliteMemory(connection: SqliteConnection): MemoryStore {
  let writer: SqliteWriter | undefined;
  const sets = setsOf("sqlite");
  const ready = (call: Call) => ensureSchema(call, connection, sets);
  const read: SqliteConnection["read"] = (work) => connection.read(work);
  return {
    engine: "sqlite",

    async apply(call, writes) {
      await ready(call);
      return connection.write(call, (database) => {
        writer ??= new SqliteWriter(database);
        return writer.apply(writes);
      });
    },

    async agents(call, status) {
      await ready(call);
      return read((database) => readAgents(database, status));
    },
    async records(call, filter, page) {
      await ready(call);
      return read((database) => readRecords(database, filter, page));
    },
    async events(call, filter, page) {
      await ready(call);
      return read((database) => readEvents(database, filter, page));
    },
    async byIds(call, ids) {
      await ready(call);
      return read((database) => readByIds(database, ids));
    },
    async *export(call) {
      await ready(call);
      // an own connection: a statement that is being read keeps its connection busy
      const reader = connection.path === IN_MEMORY ? connection : sqliteConnection(connection.path);
      try {
        yield* iterateEvents(reader.database());
      } catch (error) {
        throw sqliteError(error, connection.path);
      } finally {
        if (reader !== connection) await reader.close();
      }
    },
    async keyMatches(call, foldedKey, filter, limit) {
      await ready(call);
      return read((database) => readKeyMatches(database, foldedKey, filter, limit));
    },
    async terms(call, terms) {
      await ready(call);
      const statistics = read((database) => readTerms(database, terms));
      refuseNewerIndex(statistics.indexVersion, connection.path);
      return statistics;
    },
    async candidates(call, wanted, filter, limit, rows) {
      await ready(call);
      return read((database) => readCandidates(database, wanted, filter, limit, rows));
    },
    async vocabulary(call, pieces, lengths, limit) {
      await ready(call);
      return read((database) => readVocabulary(database, pieces, lengths, limit));
    },
    async similar(call, query) {
      await ready(call);
      return read((database) => readSimilar(database, query));
    },
    async histogram(call, keys, window) {
      await ready(call);
      return read((database) => readHistogram(database, keys, window));
    },
    async successCounts(call, type, since) {
      await ready(call);
      return read((database) => readSuccessCounts(database, type, since));
    },
    async counts(call) {
      await ready(call);
      return read(readCounts);
    },
    async tombstones(call, beforeMs) {
      await ready(call);
      return countTombstones(connection, beforeMs);
    },
    async pruneTombstones(call, beforeMs) {
      await ready(call);
      return pruneTombstones(call, connection, beforeMs);
    },
  };
}
