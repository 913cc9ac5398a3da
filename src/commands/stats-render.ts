import { age, bytes, percent, sparkline } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Stats } from "./stats.ts";
import type { History } from "./stats-collect.ts";

type Sizes = History["sizes"];
/** A figure as a person reads it. */
type Line = readonly [name: string, value: string];

/** Tables with units on a terminal; in a pipe one figure a line: its path in the JSON, and the raw value. */
export async function renderStats(io: Io, data: Stats, sizes: Sizes): Promise<void> {
  if (!io.stdoutIsTty) return printTable(io, FLAT, flatten(data));
  for (const { title, lines, tables } of sectionsOf(data, sizes)) {
    await io.out(`${io.style("bold", title)}\n`);
    await printTable(io, PLAIN, lines);
    for (const print of tables) {
      await io.out("\n");
      await print(io);
    }
    await io.out("\n");
  }
}

const PLAIN: readonly Column<Line>[] = [
  { header: "", value: ([name]) => name },
  { header: "", value: ([, value]) => value, flexible: true },
];

interface Flat {
  path: string;
  value: string | number | boolean | null;
}

/** Columns of `stats` in a pipe: path, value. */
const FLAT: readonly Column<Flat>[] = [
  { header: "", value: ({ path }) => path },
  { header: "", value: ({ value }) => value },
];

/** What names a row of a list in its path. */
const ROW_NAMES = ["engine", "name", "label", "type", "db", "command", "what"] as const;

function flatten(value: unknown, path: readonly string[] = []): Flat[] {
  if (Array.isArray(value)) {
    return value.flatMap((row, index) => flatten(row, [...path, nameOf(row) ?? String(index)]));
  }
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).flatMap(([key, inner]) => flatten(inner, [...path, key]));
  }
  return [{ path: path.join("."), value: value as Flat["value"] }];
}

function nameOf(row: unknown): string | undefined {
  if (typeof row !== "object" || row === null) return undefined;
  const named = row as Record<string, unknown>;
  const own = ROW_NAMES.map((key) => named[key]).find(
    (one) => typeof one === "string" || typeof one === "number",
  );
  if (own === undefined) return undefined;
  return typeof named["schema"] === "string" ? `${named["schema"]}.${own}` : String(own);
}

interface Section {
  title: string;
  lines: Line[];
  tables: ((io: Io) => Promise<void>)[];
}

function sectionsOf(data: Stats, sizes: Sizes): Section[] {
  return [
    memorySection(data),
    ...(data.neo4j ? [neo4jSection(data.neo4j, sizes)] : []),
    ...(data.postgres ? [postgresSection(data.postgres, sizes)] : []),
    ...(data.redis ? [redisSection(data.redis, sizes)] : []),
    ...(data.sqlite ? [sqliteSection(data.sqlite, sizes)] : []),
    hostSection(data),
  ];
}

const number = (value: number | null) => (value === null ? "–" : value.toLocaleString("en-US"));
const size = (value: number | null) => (value === null ? "–" : bytes(value));
const trend = (values: number[] | undefined) =>
  values && values.length > 1 ? `  ${sparkline(aboveLeast(values))}` : "";

/** A size that hardly changes shows as a flat line otherwise. */
function aboveLeast(values: readonly number[]): number[] {
  const least = Math.min(...values);
  return values.map((value) => value - least + (Math.max(...values) - least) / 8);
}

type Growth = NonNullable<Stats["postgres"]>["growth"];

/** `+1.2 MiB in 3h` */
function grown(growth: Growth, of: "bytes" | "rows" = "bytes"): string {
  const change = growth?.[of];
  if (growth == null || change == null) return "";
  const amount = of === "bytes" ? bytes(Math.abs(change)) : number(Math.abs(change));
  return `${change < 0 ? "−" : "+"}${amount} in ${age(Date.now() - Date.parse(growth.since))}`;
}

function memorySection(data: Stats): Section {
  const names = ["fixes", "records", "events", "issues", "agents"] as const;
  return {
    title: "Memory",
    lines: [
      ...names.map((name): Line => [name, number(data[name])]),
      ["queued deliveries", `${number(data.queue.waiting)} waiting, ${number(data.queue.rejected)} rejected`],
      ...data.engines
        .filter(({ configured }) => configured)
        .map(
          ({ engine, connected, version, target }): Line => [
            engine,
            connected ? `connected, ${version}, ${target}` : "no answer, or not asked",
          ],
        ),
    ],
    tables: [],
  };
}

function neo4jSection(neo4j: NonNullable<Stats["neo4j"]>, sizes: Sizes): Section {
  const { transactions, heap, indexes } = neo4j;
  return {
    title: `Neo4j ${neo4j.version} · ${neo4j.database}`,
    lines: [
      ["nodes", `${number(neo4j.nodes)}${trend(sizes.neo4j)}`],
      ["relationships", number(neo4j.relationships)],
      ["indexes", `${indexes.length}, ${indexes.filter(({ state }) => state === "ONLINE").length} online`],
      ["transactions", `${number(transactions.running)} running, ${transactions.slow.length} slow`],
      ["heap", `${size(heap.used_bytes)} of ${size(heap.max_bytes)}`],
      ["store", size(neo4j.store_size_bytes)],
      ["page cache", size(neo4j.page_cache.size_bytes)],
      ...unknownLines(neo4j.unknown),
    ],
    tables: [
      ...listOf(neo4j.labels, [
        { header: "LABEL", value: ({ label }) => label, flexible: true },
        { header: "NODES", value: ({ nodes }) => number(nodes), align: "right" },
      ]),
      ...listOf(neo4j.types, [
        { header: "RELATIONSHIP", value: ({ type }) => type, flexible: true },
        { header: "COUNT", value: ({ relationships }) => number(relationships), align: "right" },
      ]),
      ...listOf(transactions.slow, [
        { header: "TRANSACTION", value: ({ id }) => id },
        { header: "FOR", value: ({ elapsed_ms: took }) => age(took), align: "right" },
        { header: "STATEMENT", value: ({ query }) => query, flexible: true },
      ]),
    ],
  };
}

function postgresSection(postgres: NonNullable<Stats["postgres"]>, sizes: Sizes): Section {
  const { connections, slow_statements: slow, wraparound, transactions } = postgres;
  return {
    title: `PostgreSQL ${postgres.version} · ${postgres.database}`,
    lines: [
      ["size", `${size(postgres.size_bytes)}  ${grown(postgres.growth)}${trend(sizes.postgres)}`],
      ["tables, indexes", `${number(postgres.table_count)}, ${number(postgres.index_count)}`],
      [
        "connections",
        `${connections.used} of ${connections.max} (${number(connections.active)} active, ` +
          `${number(connections.idle_in_transaction)} idle in transaction, ${number(connections.waiting)} waiting)`,
      ],
      ["cache hits", `${percent(postgres.cache_hit_ratio)}, of indexes ${percent(postgres.index_hit_ratio)}`],
      [
        "transactions",
        `${number(transactions.committed)} committed, ${number(transactions.rolled_back)} rolled back, ` +
          `${number(transactions.deadlocks)} deadlocks`,
      ],
      [
        "ids used",
        `${(wraparound.used_ratio * 100).toFixed(1)} % before wraparound (${wraparound.database})`,
      ],
      ...(slow.available ? [] : [["slow statements", slow.hint ?? "not known"] as const]),
      ...unknownLines(postgres.unknown),
    ],
    tables: [
      ...listOf(postgres.tables, [
        { header: "TABLE", value: ({ schema, name }) => `${schema}.${name}`, flexible: true },
        { header: "ROWS", value: ({ rows }) => number(rows), align: "right" },
        { header: "SIZE", value: (table) => size(table.size_bytes), align: "right" },
        { header: "INDEXES", value: (table) => size(table.index_bytes), align: "right" },
        { header: "BLOAT", value: (table) => size(table.bloat_bytes), align: "right" },
        { header: "GROWTH", value: ({ growth }) => grown(growth) },
      ]),
      ...listOf(slow.statements, [
        { header: "CALLS", value: ({ calls }) => number(calls), align: "right" },
        { header: "MEAN", value: ({ mean_ms: mean }) => `${mean.toFixed(1)} ms`, align: "right" },
        { header: "STATEMENT", value: ({ query }) => query, flexible: true },
      ]),
    ],
  };
}

function redisSection(redis: NonNullable<Stats["redis"]>, sizes: Sizes): Section {
  const { memory, keys, persistence, clients } = redis;
  const estimated = keys.sampled ? `, namespaces estimated from ${number(keys.scanned)}` : "";
  const limit = memory.max_bytes === null ? "no limit" : `of ${bytes(memory.max_bytes)}`;
  const saved =
    persistence.rdb_last_save_age_ms === null ? "never" : `${age(persistence.rdb_last_save_age_ms)} ago`;
  return {
    title: `Redis ${redis.version} · ${redis.role}`,
    lines: [
      [
        "memory",
        `${size(memory.used_bytes)} ${limit}, ${memory.policy ?? "policy not known"}${trend(sizes.redis)}`,
      ],
      ["evicted, expired", `${number(redis.evicted_keys)}, ${number(redis.expired_keys)}`],
      ["keys", `${number(keys.total)} (${number(keys.expiring)} with a time to live${estimated})`],
      [
        "hits",
        `${percent(redis.hit_rate)} of ${redis.hits === null || redis.misses === null ? "–" : number(redis.hits + redis.misses)}`,
      ],
      ["append-only file", persistence.aof_enabled ? `on, ${size(persistence.aof_size_bytes)}` : "off"],
      ["last save", `${saved}, ${number(persistence.changes_since_save)} changes since`],
      [
        "clients",
        `${number(clients.connected)} of ${number(clients.max)}, ${number(clients.blocked)} blocked`,
      ],
      ...unknownLines(redis.unknown),
    ],
    tables: listOf(keys.namespaces, [
      { header: "NAMESPACE", value: ({ name }) => name, flexible: true },
      { header: "KEYS", value: (row) => `${keys.sampled ? "≈ " : ""}${number(row.keys)}`, align: "right" },
      { header: "SHARE", value: ({ share }) => percent(share), align: "right" },
    ]),
  };
}

function sqliteSection(sqlite: NonNullable<Stats["sqlite"]>, sizes: Sizes): Section {
  return {
    title: `SQLite ${sqlite.version} · ${sqlite.path}`,
    lines: [
      ["size", `${bytes(sqlite.size_bytes)}  ${grown(sqlite.growth)}${trend(sizes.sqlite)}`],
      ["write-ahead log", bytes(sqlite.wal_bytes)],
      ["free", `${bytes(sqlite.free_bytes)} in ${number(sqlite.free_pages)} pages`],
      ...unknownLines(sqlite.unknown),
    ],
    tables: listOf(sqlite.tables, [
      { header: "TABLE", value: ({ name }) => name, flexible: true },
      { header: "ROWS", value: ({ rows }) => number(rows), align: "right" },
      { header: "GROWTH", value: ({ growth }) => grown(growth, "rows") },
    ]),
  };
}

function hostSection({ files, archives, drilled_backup: drilled, operations }: Stats): Section {
  const named = (archive: Stats["drilled_backup"]) =>
    archive === null
      ? "none yet"
      : `${archive.name}${archive.age_ms === null ? "" : `, ${age(archive.age_ms)} old`}`;
  return {
    title: "This host",
    lines: [
      ...files.map(
        ({ name, path, size_bytes }): Line => [
          name,
          size_bytes === null ? `not known, or none yet (${path})` : `${bytes(size_bytes)} (${path})`,
        ],
      ),
      ["archives", `${number(archives.count)}, ${bytes(archives.size_bytes)} (${archives.dir})`],
      ["newest verified", named(archives.newest_verified)],
      ["drilled backup", named(drilled)],
      ["operations", `${number(operations.count)}, ${number(operations.errors)} failed`],
    ],
    tables: listOf(operations.commands.slice(0, 10), [
      { header: "COMMAND", value: ({ command }) => command },
      { header: "COUNT", value: ({ count }) => number(count), align: "right" },
      { header: "FAILED", value: ({ errors }) => number(errors), align: "right" },
      { header: "MEAN", value: ({ mean_ms: mean }) => `${Math.round(mean)} ms`, align: "right" },
      {
        header: "LAST",
        value: ({ last_at: at }) => `${age(Date.now() - Date.parse(at))} ago`,
        align: "right",
      },
    ]),
  };
}

function unknownLines(unknown: readonly { what: string; reason: string; hint: string | null }[]): Line[] {
  return unknown.map(({ what, reason, hint }) => [what, `not known: ${reason}${hint ? `; ${hint}` : ""}`]);
}

function listOf<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): Section["tables"] {
  return rows.length === 0 ? [] : [(io) => printTable(io, columns, rows)];
}
