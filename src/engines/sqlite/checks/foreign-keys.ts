import type { Found } from "../../../health/doctor/check.ts";
import { quoted, readThrough, type SqliteCheck, type SqliteScope, write } from "./look.ts";

/** Rows that refer to rows which are not there, by table and constraint. */
export const foreignKeys: SqliteCheck = {
  id: "sqlite-foreign-keys",
  area: "sqlite",
  title: "rows refer to rows that are not there",
  looks: "PRAGMA foreign_key_check",
  async run(call, scope) {
    const rows = await readThrough(
      call,
      scope,
      `SELECT "table", parent, fkid, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2, 3`,
    );
    return rows.map(([table, parent, id, count]) =>
      found(scope, String(table), String(parent), Number(id), Number(count)),
    );
  },
};

function found(scope: SqliteScope, table: string, parent: string, id: number, count: number): Found {
  return {
    severity: "warning",
    subject: `${scope.target.shown}, table ${table}`,
    evidence: `${count} rows refer to rows of ${parent} that are not there`,
    cause:
      "Something wrote without foreign keys (the sqlite3 shell has them off), and queries that join the two tables leave these rows out.",
    // what is deleted may be the last trace of something: never without being asked
    remedies: [{ argv: write(deletion(scope, table, parent, id)), safe: false }],
    advice: `look at them first: opsctl query sqlite "PRAGMA foreign_key_check(${table})"`,
  };
}

function deletion({ connection }: SqliteScope, table: string, parent: string, id: number): string {
  const columns = connection.read((database) =>
    database
      .prepare<[string, number], { from: string; to: string | null }>(
        `SELECT "from", "to" FROM pragma_foreign_key_list(?, 'main') WHERE id = ? ORDER BY seq`,
      )
      .all(table, id),
  );
  const key = connection.read((database) =>
    database
      .prepare<[string], string>("SELECT name FROM pragma_table_info(?, 'main') WHERE pk > 0 ORDER BY pk")
      .pluck()
      .all(parent),
  );
  const child = quoted(table);
  const isSet = columns.map(({ from }) => `${child}.${quoted(from)} IS NOT NULL`);
  // without a named column it is the parent's primary key
  const matches = columns.map(
    ({ from, to }, at) => `parent.${quoted(to ?? key[at] ?? "rowid")} = ${child}.${quoted(from)}`,
  );
  return `DELETE FROM ${child} WHERE ${isSet.join(" AND ")} AND NOT EXISTS (SELECT 1 FROM ${quoted(parent)} AS parent WHERE ${matches.join(" AND ")})`;
}
