/** What of the figures is kept as samples, and how far it has grown since. */
import type { EngineName } from "../errors.ts";
import type { Figures } from "./figures.ts";
import type { Sample } from "./port.ts";

/** Samples closer together say nothing about growth: `--watch` and a scrape every 15 s would only fill the file. ms */
export const SAMPLE_INTERVAL_MS = 600_000;

/** How large each target is as a whole, and what a sparkline of it shows. */
export const SIZE_METRICS: Readonly<Record<EngineName, string>> = {
  neo4j: "nodes",
  postgres: "database_bytes",
  redis: "used_bytes",
  sqlite: "database_bytes",
};

/** The figures that are kept, by engine: metric and value. */
export function keptFigures({
  neo4j,
  postgres,
  redis,
  sqlite,
}: Figures): Partial<Record<EngineName, [string, number | null][]>> {
  return {
    ...(neo4j
      ? {
          neo4j: [
            ["nodes", neo4j.nodes],
            ["relationships", neo4j.relationships],
          ],
        }
      : {}),
    ...(postgres
      ? {
          postgres: [
            ["database_bytes", postgres.size_bytes],
            ...postgres.tables.flatMap(({ schema, name, size_bytes, rows }): [string, number][] => [
              [`table_bytes:${schema}.${name}`, size_bytes],
              [`table_rows:${schema}.${name}`, rows],
            ]),
          ],
        }
      : {}),
    ...(redis
      ? {
          redis: [
            ["used_bytes", redis.memory.used_bytes],
            ["keys", redis.keys.total],
          ],
        }
      : {}),
    ...(sqlite
      ? {
          sqlite: [
            ["database_bytes", sqlite.size_bytes],
            ...sqlite.tables.map(({ name, rows }): [string, number | null] => [`table_rows:${name}`, rows]),
          ],
        }
      : {}),
  };
}

/** The newest value of each metric that is not younger than `beforeMs`. */
export function newestOf(
  samples: readonly Sample[],
  beforeMs = Number.POSITIVE_INFINITY,
): Map<string, Sample> {
  const newest = new Map<string, Sample>();
  for (const sample of samples) {
    const known = newest.get(sample.metric);
    if (sample.at < beforeMs && (!known || known.at <= sample.at)) newest.set(sample.metric, sample);
  }
  return newest;
}

type Growth = { bytes: number | null; rows: number | null; since: string } | null;

/** The same figures with what they have grown by since the samples. */
export function withGrowth(
  figures: Figures,
  before: { postgres: ReadonlyMap<string, Sample>; sqlite: ReadonlyMap<string, Sample> },
): Figures {
  const { postgres, sqlite } = figures;
  return {
    ...figures,
    postgres: postgres && {
      ...postgres,
      growth: growthOf([postgres.size_bytes, before.postgres.get("database_bytes")], []),
      tables: postgres.tables.map((table) => {
        const name = `${table.schema}.${table.name}`;
        const bytes = before.postgres.get(`table_bytes:${name}`);
        const rows = before.postgres.get(`table_rows:${name}`);
        return { ...table, growth: growthOf([table.size_bytes, bytes], [table.rows, rows]) };
      }),
    },
    sqlite: sqlite && {
      ...sqlite,
      growth: growthOf([sqlite.size_bytes, before.sqlite.get("database_bytes")], []),
      tables: sqlite.tables.map((table) => {
        const rows = before.sqlite.get(`table_rows:${table.name}`);
        return { ...table, growth: growthOf([], [table.rows, rows]) };
      }),
    },
  };
}

type Pair = readonly [now?: number | null, then?: Sample | undefined];

function growthOf(bytes: Pair, rows: Pair): Growth {
  const since = bytes[1]?.at ?? rows[1]?.at;
  if (since === undefined) return null;
  const grown = ([now, then]: Pair) => (now == null || then === undefined ? null : now - then.value);
  return { bytes: grown(bytes), rows: grown(rows), since: new Date(since).toISOString() };
}
