import { BOUNDED_HELP, bounded, type Family, familiesOf, points, ratioOf } from "./family.ts";

const { define, gauge } = familiesOf(({ figures }) => figures.neo4j);

const STATES = ["ONLINE", "POPULATING", "FAILED"] as const;

const http = familiesOf(({ health }) => health.http);

/** One Neo4j database, and its server. */
export const NEO4J_FAMILIES: readonly Family[] = [
  http.gauge(
    "opsctl_neo4j_http_up",
    "Whether the HTTP port answers as Neo4j; absent: NEO4J_HTTP_URL is not set.",
    ({ status }) => status === "connected",
  ),
  gauge("opsctl_neo4j_nodes", "Nodes.", (stats) => stats.nodes),
  gauge("opsctl_neo4j_relationships", "Relationships.", (stats) => stats.relationships),
  define(
    "gauge",
    "opsctl_neo4j_label_nodes",
    `Nodes by label; a node with two labels counts for both. ${BOUNDED_HELP}`,
    ["label"],
    ({ labels }) =>
      bounded(
        labels,
        ({ label }) => ({ label }),
        ({ nodes }) => nodes,
      ),
  ),
  define(
    "gauge",
    "opsctl_neo4j_type_relationships",
    `Relationships by type. ${BOUNDED_HELP}`,
    ["type"],
    ({ types }) =>
      bounded(
        types,
        ({ type }) => ({ type }),
        ({ relationships }) => relationships,
      ),
  ),
  define("gauge", "opsctl_neo4j_indexes", "Indexes by state.", ["state"], ({ indexes }) =>
    points(
      STATES,
      (state) => ({ state }),
      (state) => indexes.filter((index) => index.state === state).length,
    ),
  ),
  gauge("opsctl_neo4j_constraints", "Constraints.", (stats) => stats.constraint_count),
  gauge(
    "opsctl_neo4j_transactions_running",
    "Running transactions, without the one that asks.",
    ({ transactions }) => transactions.running,
  ),
  gauge(
    "opsctl_neo4j_transactions_slow",
    "Transactions that have run longer than the threshold slow_transaction.",
    ({ transactions }) => (transactions.running === null ? null : transactions.slow.length),
  ),
  gauge("opsctl_neo4j_heap_used_bytes", "Heap in use.", ({ heap }) => heap.used_bytes),
  gauge("opsctl_neo4j_heap_committed_bytes", "Heap taken from the host.", ({ heap }) => heap.committed_bytes),
  gauge("opsctl_neo4j_heap_max_bytes", "Largest heap.", ({ heap }) => heap.max_bytes),
  gauge("opsctl_neo4j_heap_used_ratio", "Share of the largest heap in use.", ({ heap }) =>
    ratioOf(heap.used_bytes, heap.max_bytes),
  ),
  gauge(
    "opsctl_neo4j_store_size_bytes",
    "Files of the database, where they are on this host and readable.",
    (stats) => stats.store_size_bytes,
  ),
  gauge(
    "opsctl_neo4j_page_cache_size_bytes",
    "Size of the page cache.",
    ({ page_cache }) => page_cache.size_bytes,
  ),
  gauge(
    "opsctl_neo4j_page_cache_hit_ratio",
    "Hits of the page cache, where the edition tells.",
    ({ page_cache }) => page_cache.hit_ratio,
  ),
];
