import type { Call } from "../../call.ts";
import type { MemoryStore } from "../../memory/port.ts";
import { setsOf } from "../../migrate/sets.ts";
import { IN_MEMORY, type SqliteConnection, sqliteConnection } from "./connect.ts";
import { sqliteError } from "./errors.ts";
import { iterateEvents, readAgents, readByIds, readEvents, readRecords } from "./memory-read.ts";
import {
  readCandidates,
  readCounts,
  readKeyMatches,
  readSimilar,
  readSuccessCounts,
  readTerms,
} from "./memory-search.ts";
import { countTombstones, pruneTombstones } from "./memory-tombstones.ts";
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
      return read((database) => readTerms(database, terms));
    },
    async candidates(call, terms, filter, limit) {
      await ready(call);
      return terms.length === 0 ? [] : read((database) => readCandidates(database, terms, filter, limit));
    },
    async similar(call, type, since, limit) {
      await ready(call);
      return read((database) => readSimilar(database, type, since, limit));
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
