import type { Call } from "../../call.ts";
import type { Thresholds } from "../../config/thresholds.ts";
import type { Neo4jStats } from "../../contract/stats-neo4j.ts";
import { Unknowable } from "../../health/doctor/check.ts";
import type { Statistics, StatisticsOptions } from "../../health/port.ts";
import type { Origin } from "../engine.ts";
import type { Neo4jConnection } from "./connect.ts";
import { bytesOf, excerpt, heapOf, type Settings, settingsOf, storeSize, told } from "./server-facts.ts";
import { graphCounts, INDEXES, type IndexRow, indexOf } from "./statistics-graph.ts";
import { transactionsOf } from "./transactions.ts";

const COMPONENTS = "CALL dbms.components() YIELD versions, edition RETURN versions[0] AS version, edition";
const CONSTRAINTS = "SHOW CONSTRAINTS YIELD name RETURN count(*) AS n";
/** Enterprise, where its metrics are published to JMX. */
const HIT_RATIO = `CALL dbms.queryJmx('neo4j.metrics:name=*page_cache.hit_ratio') YIELD attributes
RETURN attributes.Value.value AS ratio`;

/** @param root where the host's file system begins: the store's files are looked at below it */
export function neo4jStatistics(
  connection: Neo4jConnection,
  { target }: Origin,
  thresholds: Thresholds,
  root: string,
): Statistics<Neo4jStats> {
  return {
    async read(call, options) {
      const unknown: Neo4jStats["unknown"] = [];
      const note = (what: string, { message, hint }: Unknowable) => {
        const reason = message.startsWith(`${what}: `) ? message.slice(what.length + 2) : message;
        unknown.push({ what, reason, hint: hint ?? null });
      };
      // one after another: none of ours is among the transactions that run
      const part = async <T>(what: string, asked: () => Promise<T>): Promise<T | undefined> => {
        try {
          return await asked();
        } catch (error) {
          if (!(error instanceof Unknowable)) throw error;
          note(what, error);
          return undefined;
        }
      };
      const database = target.database ?? "neo4j";
      const components = await part("edition", () => first(call, connection, "edition", COMPONENTS));
      const graph = await part("counts", () =>
        graphCounts(call, connection, options.top, (why) => note("counts by label and type", why)),
      );
      const indexes = await part("indexes", () => indexesOf(call, connection, options));
      const constraints = await part("constraints", () =>
        first<{ n: number }>(call, connection, "constraints", CONSTRAINTS),
      );
      const transactions = await part("transactions", () => transactionsOf(call, connection));
      const heap = await part("heap", () => heapOf(call, connection));
      const settings = (await part("settings", () => settingsOf(call, connection))) ?? new Map();
      const store = await part("store size", () => storeSize(call, connection, settings, database, root));
      const slow = transactions?.filter(({ elapsedMs }) => elapsedMs >= thresholds.slow_transaction * 1000);
      return {
        version: components?.["version"] ?? (await connection.serverVersion(call)),
        edition: components?.["edition"] ?? null,
        database,
        nodes: graph?.nodes ?? null,
        relationships: graph?.relationships ?? null,
        label_count: graph?.labelCount ?? null,
        labels: graph?.labels ?? [],
        type_count: graph?.typeCount ?? null,
        types: graph?.types ?? [],
        index_count: indexes?.count ?? null,
        indexes: indexes?.indexes ?? [],
        constraint_count: constraints?.n ?? null,
        transactions: {
          running: transactions?.length ?? null,
          slow: (slow ?? []).slice(0, options.top).map(({ id, username, elapsedMs, query, status }) => ({
            id,
            username,
            query: excerpt(query),
            elapsed_ms: elapsedMs,
            status,
          })),
        },
        heap: {
          used_bytes: heap?.used ?? null,
          committed_bytes: heap?.committed ?? null,
          max_bytes: heap?.max ?? null,
        },
        store_size_bytes: store ?? null,
        page_cache: {
          size_bytes: (await part("page cache size", async () => pageCacheSize(settings))) ?? null,
          hit_ratio: (await part("page cache hit ratio", () => hitRatio(call, connection))) ?? null,
        },
        unknown,
      };
    },
  };
}

async function first<T = Record<string, string>>(
  call: Call,
  connection: Neo4jConnection,
  what: string,
  query: string,
): Promise<T | undefined> {
  return (await told<T>(call, connection, what, query))[0];
}

async function indexesOf(call: Call, connection: Neo4jConnection, { top }: StatisticsOptions) {
  const rows = await told<IndexRow>(call, connection, "indexes", INDEXES);
  return { count: rows.length, indexes: rows.slice(0, top).map(indexOf) };
}

function pageCacheSize(settings: Settings): number {
  const size = bytesOf(settings.get("server.memory.pagecache.size"));
  if (size !== null) return size;
  throw new Unknowable(
    "page cache size: it is not set, so Neo4j takes half of the memory that the heap leaves, at most 20 GiB",
    "set server.memory.pagecache.size in neo4j.conf",
  );
}

async function hitRatio(call: Call, connection: Neo4jConnection): Promise<number> {
  const row = await first<{ ratio: number | null }>(call, connection, "page cache hit ratio", HIT_RATIO);
  if (typeof row?.ratio === "number") return row.ratio;
  throw new Unknowable("page cache hit ratio: only the Enterprise edition tells it, through its metrics");
}
