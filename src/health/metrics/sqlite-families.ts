import { BOUNDED_HELP, bounded, type Family, familiesOf } from "./family.ts";

const { define, gauge } = familiesOf(({ figures }) => figures.sqlite);

/** The embedded file. */
export const SQLITE_FAMILIES: readonly Family[] = [
  gauge("opsctl_sqlite_size_bytes", "Size of the embedded file alone.", (stats) => stats.size_bytes),
  gauge("opsctl_sqlite_wal_bytes", "Size of its write-ahead log.", (stats) => stats.wal_bytes),
  gauge("opsctl_sqlite_free_bytes", "Free pages of the file.", (stats) => stats.free_bytes),
  gauge("opsctl_sqlite_tables", "Tables of the file.", (stats) => stats.table_count),
  define(
    "gauge",
    "opsctl_sqlite_table_rows",
    `Rows of its tables. ${BOUNDED_HELP}`,
    ["table"],
    ({ tables }) =>
      bounded(
        tables,
        ({ name }) => ({ table: name }),
        ({ rows }) => rows,
      ),
  ),
];
