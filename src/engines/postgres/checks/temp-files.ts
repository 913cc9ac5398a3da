import { bytes } from "../../../amounts.ts";
import { ask, type PostgresCheck } from "./kit.ts";
import { number } from "./words.ts";

/** From so many times the size that counts as large on. */
const LARGE = 10;

interface Row {
  database: string;
  files: number;
  size: number;
  work: string;
}

export const tempFiles: PostgresCheck = {
  id: "postgres-temp-files",
  area: "postgres",
  title: "queries sort and hash on disk",
  looks: "pg_stat_database.temp_files, temp_bytes; work_mem",
  async run(call, scope) {
    const [row] = await ask<Row>(
      call,
      scope,
      `SELECT datname AS database, temp_files AS files, temp_bytes AS size, current_setting('work_mem') AS work
       FROM pg_stat_database WHERE datname = current_database()`,
    );
    if (!row || row.files === 0 || row.size < LARGE * scope.thresholds.large) return [];
    return [
      {
        severity: "info",
        subject: `database ${row.database}`,
        evidence: `${number(row.files)} temporary files with ${bytes(row.size)} since its statistics began; work_mem = ${row.work}`,
        cause: "sorts and hashes that do not fit into work_mem go to disk, which is many times slower",
        remedies: [],
        advice:
          "log_temp_files = 10MB names the queries; raise work_mem for those (SET work_mem in their session, or ALTER ROLE … SET work_mem), not for all",
      },
    ];
  },
};
