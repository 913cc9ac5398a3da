import { literal } from "../quoting.ts";
import { ask, listed, type PostgresCheck, statement, TOP } from "./kit.ts";
import { duration } from "./words.ts";

interface Row {
  gid: string;
  owner: string;
  database: string;
  here: boolean;
  seconds: number;
  total: number;
}

const OLD = `SELECT gid, owner, database, database = current_database() AS here, extract(epoch FROM now() - prepared)::float8 AS seconds,
    count(*) OVER () AS total
  FROM pg_prepared_xacts WHERE now() - prepared > $1 * interval '1 second' ORDER BY prepared LIMIT ${TOP}`;

export const preparedTransaction: PostgresCheck = {
  id: "postgres-prepared-transaction",
  area: "postgres",
  title: "a prepared transaction was never ended",
  looks: "pg_prepared_xacts",
  async run(call, scope) {
    const limit = scope.thresholds.long_transaction;
    const rows = await ask<Row>(call, scope, OLD, [limit]);
    return listed(rows, "prepared transactions", ({ gid, owner, database, here, seconds }) => {
      const end = `ROLLBACK PREPARED ${literal(gid)}`;
      return {
        severity: "warning",
        subject: `prepared transaction ${gid}`,
        evidence: `prepared ${duration(seconds)} ago (limit ${duration(limit)}) by ${owner} in database ${database}`,
        cause:
          "its transaction manager forgot it: its locks stay over restarts, and vacuum removes no row that died since",
        remedies: here ? [statement(end)] : [],
        advice: `ask the transaction manager whether it was to be committed: COMMIT PREPARED ${literal(gid)}${
          here ? "" : `, else ${end}; in the database ${database}`
        }`,
      };
    });
  },
};
