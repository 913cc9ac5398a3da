import { identifier } from "../quoting.ts";
import { ask, type PostgresCheck, statement } from "./kit.ts";

interface Row {
  database: string;
  recorded: string;
  actual: string;
}

export const collationVersion: PostgresCheck = {
  id: "postgres-collation-version",
  area: "postgres",
  title: "the system sorts differently than the indexes",
  looks: "pg_database.datcollversion against the version of the system's library (PostgreSQL 15 and newer)",
  async run(call, scope) {
    const rows = await ask<Row>(
      call,
      scope,
      `SELECT datname AS database, datcollversion AS recorded, pg_database_collation_actual_version(oid) AS actual FROM pg_database
       WHERE datname = current_database() AND datcollversion <> pg_database_collation_actual_version(oid)`,
    );
    return rows.map(({ database, recorded, actual }) => ({
      severity: "warning",
      subject: `database ${database}`,
      evidence: `made with collation version ${recorded}, the system has ${actual}`,
      cause: "the system was upgraded: indexes on text may miss rows and let duplicates in",
      remedies: [
        statement(`REINDEX DATABASE CONCURRENTLY ${identifier(database)}`),
        statement(`ALTER DATABASE ${identifier(database)} REFRESH COLLATION VERSION`),
      ],
      advice: "unique indexes are only built again when no duplicates got in",
    }));
  },
};
