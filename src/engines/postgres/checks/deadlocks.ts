import { ask, type PostgresCheck } from "./kit.ts";
import { number } from "./words.ts";

interface Row {
  database: string;
  deadlocks: number;
  since: string | null;
}

export const deadlocks: PostgresCheck = {
  id: "postgres-deadlocks",
  area: "postgres",
  title: "transactions run into deadlocks",
  looks: "pg_stat_database.deadlocks",
  async run(call, scope) {
    const [row] = await ask<Row>(
      call,
      scope,
      `SELECT datname AS database, deadlocks, to_char(stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS since
       FROM pg_stat_database WHERE datname = current_database()`,
    );
    if (!row || row.deadlocks === 0) return [];
    const since = row.since === null ? "since its statistics began" : `since ${row.since}`;
    return [
      {
        severity: "info",
        subject: `database ${row.database}`,
        evidence: `${number(row.deadlocks)} ${row.deadlocks === 1 ? "deadlock" : "deadlocks"} ${since}`,
        cause:
          "two transactions locked the same rows in different orders: one of them was broken off each time",
        remedies: [],
        advice:
          "the server's log has the statements of each: let them take their rows in the same order, and repeat what was broken off",
      },
    ];
  },
};
