import { listed, type PostgresCheck, statement } from "./kit.ts";
import { identityOf, quoted, sessionsOver, whenAllSeen } from "./sessions.ts";
import { duration } from "./words.ts";

/** Programs whose transactions are long by nature; a walsender of a base backup is no client backend. */
const BACKUPS: readonly (string | null)[] = ["pg_dump", "pg_dumpall", "opsctl"];

export const longTransaction: PostgresCheck = {
  id: "postgres-long-transaction",
  area: "postgres",
  title: "a transaction runs for long",
  looks: "pg_stat_activity.xact_start of sessions that are at work",
  async run(call, scope) {
    const rows = await sessionsOver(
      call,
      scope,
      "xact_start",
      "state NOT LIKE 'idle%'",
      scope.thresholds.long_transaction,
    );
    const found = listed(rows, "long transactions", (row) => ({
      severity: BACKUPS.includes(row.application) ? "info" : "warning",
      subject: `session ${row.pid}`,
      evidence: `its transaction runs for ${duration(row.seconds)} (limit ${duration(scope.thresholds.long_transaction)}): ${quoted(row.query)}; ${identityOf(row)}`,
      cause: "it keeps its locks, and vacuum cannot remove any row that died since it began: tables grow",
      remedies: [statement(`SELECT pg_cancel_backend(${row.pid})`)],
      advice: "ask its owner first: what it did so far is rolled back",
    }));
    return whenAllSeen(call, scope, found);
  },
};
