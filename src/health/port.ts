import type { Call } from "../call.ts";
import type { Neo4jStats } from "../contract/stats-neo4j.ts";
import type { PostgresStats } from "../contract/stats-postgres.ts";
import type { RedisStats } from "../contract/stats-redis.ts";
import type { SqliteStats } from "../contract/stats-sqlite.ts";

/** What a server says of itself, asked by a real query. */
export interface ProbeResult {
  version: string;
  /** Round trip of one trivial query on an open connection, ms. */
  latency_ms: number;
}

/** What health and stats need of an engine. Throws OpsError only. */
export interface Probe {
  probe(call: Call): Promise<ProbeResult>;
  /**
   * The guides' write test: sets a value of its own (`opsctl:health:<random>`, a row of a temporary table, a node that is rolled back),
   * reads it back, deletes it. Leaves nothing, also when it is broken off.
   * @throws OpsError `failed` when what came back is something else, or could not be written: the message says at which step
   */
  selfTest(call: Call): Promise<void>;
}

/** The figures of each engine, as `stats --json` and the metrics show them. */
export interface StatsOf {
  neo4j: Neo4jStats;
  postgres: PostgresStats;
  redis: RedisStats;
  sqlite: SqliteStats;
}

export interface StatisticsOptions {
  /** Rows of lists that grow with the data (tables, indexes, labels), largest first. */
  top: number;
  /** Keys that are looked at for the namespaces of Redis; a larger keyspace is sampled, and that is said. */
  sampleKeys: number;
}

/**
 * What an engine counts. Bounded: a database with 10,000 tables or a Redis with millions of keys costs no more than a few seconds, and
 * no statement that blocks others. What the user may not see is null, and named in `unknown`.
 * @throws OpsError for a server that does not answer
 */
export interface Statistics<S extends StatsOf[keyof StatsOf] = StatsOf[keyof StatsOf]> {
  read(call: Call, options: StatisticsOptions): Promise<S>;
}

/** One figure of a target at a time. */
export interface Sample {
  /** Epoch ms. */
  at: number;
  /** Identity of the target. */
  target: string;
  /** `database_bytes`, `table_rows:public.orders`. */
  metric: string;
  value: number;
}

/** The samples of this host, in its state file. */
export interface SampleStore {
  add(call: Call, samples: readonly Sample[]): Promise<void>;
  /** Of one target since a time, oldest first; of one metric, or of all. */
  since(call: Call, target: string, sinceMs: number, metric?: string): Promise<Sample[]>;
  /** How many are older. */
  countBefore(call: Call, beforeMs: number): Promise<number>;
  /** Deletes them in bounded steps. Returns how many went. */
  prune(call: Call, beforeMs: number): Promise<number>;
}
