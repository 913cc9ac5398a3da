import { listed, type PostgresCheck, statement } from "./kit.ts";
import { identityOf, quoted, sessionsOver, whenAllSeen } from "./sessions.ts";
import { duration } from "./words.ts";

export const idleInTransaction: PostgresCheck = {
  id: "postgres-idle-in-transaction",
  area: "postgres",
  title: "a session is idle in a transaction",
  looks: "pg_stat_activity.state = 'idle in transaction' and state_change",
  async run(call, scope) {
    const limit = scope.thresholds.idle_in_transaction;
    const rows = await sessionsOver(call, scope, "state_change", "state LIKE 'idle in transaction%'", limit);
    const found = listed(rows, "sessions idle in a transaction", (row) => ({
      severity: "warning",
      subject: `session ${row.pid}`,
      evidence: `idle in a transaction for ${duration(row.seconds)} (limit ${duration(limit)}) after ${quoted(row.query)}; ${identityOf(row)}`,
      cause:
        "its program forgot to commit or waits for something else: locks stay, and vacuum cannot remove dead rows",
      remedies: [statement(`SELECT pg_terminate_backend(${row.pid})`)],
      advice:
        "mend the program; idle_in_transaction_session_timeout = '5min' ends such sessions by itself. Ending one rolls its transaction back",
    }));
    return whenAllSeen(call, scope, found);
  },
};
