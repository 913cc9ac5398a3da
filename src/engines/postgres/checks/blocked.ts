import type { Found } from "../../../health/doctor/check.ts";
import { ask, type PostgresCheck, type PostgresScope, statement, TOP } from "./kit.ts";
import { identityOf, quoted, SESSION, type SessionRow } from "./sessions.ts";
import { duration } from "./words.ts";

interface Waiting {
  pid: number;
  blockers: number[];
  seconds: number;
  query: string | null;
}

/** A lock that is waited for names its session to every role; `0` among the blockers is a prepared transaction. */
const WAITING = `WITH w AS MATERIALIZED (SELECT pid, min(waitstart) AS since FROM pg_locks WHERE NOT granted AND pid IS NOT NULL GROUP BY pid)
  SELECT w.pid, pg_blocking_pids(w.pid) AS blockers, left(a.query, 1000) AS query,
    coalesce(extract(epoch FROM clock_timestamp() - coalesce(w.since, a.query_start)), 0)::float8 AS seconds
  FROM w LEFT JOIN pg_stat_activity a USING (pid) ORDER BY seconds DESC LIMIT 1000`;

/** With so many times the limit users have noticed. */
const LONG = 12;

export const blocked: PostgresCheck = {
  id: "postgres-blocked",
  area: "postgres",
  title: "a session blocks others",
  looks: "pg_locks and pg_blocking_pids(): who waits for whom, down to the first one",
  async run(call, scope) {
    const waiting = await ask<Waiting>(call, scope, WAITING);
    const limit = scope.thresholds.blocked;
    const byRoot = new Map<number, Waiting[]>();
    for (const victim of waiting) {
      if (victim.seconds < limit) continue;
      for (const root of rootsOf(victim, waiting)) {
        byRoot.set(root, [...(byRoot.get(root) ?? []), victim]);
      }
    }
    if (byRoot.size === 0) return [];
    const sessions = await ask<SessionRow>(
      call,
      scope,
      `SELECT ${SESSION} FROM pg_stat_activity a WHERE pid = ANY ($1)`,
      [[...byRoot.keys()]],
    );
    return [...byRoot]
      .sort(([, a], [, b]) => b.length - a.length)
      .slice(0, TOP)
      .map(([pid, victims]) => describe(scope, pid, victims, sessions));
  },
};

/** Those at the end of every chain who wait for nobody. A circle is a deadlock, which the server breaks up by itself. */
function rootsOf(victim: Waiting, waiting: readonly Waiting[]): Set<number> {
  const roots = new Set<number>();
  const seen = new Set<number>([victim.pid]);
  const next = [...victim.blockers];
  for (let pid = next.pop(); pid !== undefined; pid = next.pop()) {
    if (seen.has(pid)) continue;
    seen.add(pid);
    const itself = waiting.find((one) => one.pid === pid);
    if (itself && itself.blockers.length > 0) next.push(...itself.blockers);
    else roots.add(pid);
  }
  return roots;
}

function describe(
  { thresholds }: PostgresScope,
  pid: number,
  victims: readonly Waiting[],
  sessions: readonly SessionRow[],
): Found {
  const longest = victims.reduce((a, b) => (b.seconds > a.seconds ? b : a));
  const names = victims
    .slice(0, 5)
    .map((one) => one.pid)
    .join(", ");
  const who = `${victims.length === 1 ? "session" : "sessions"} ${names}${victims.length > 5 ? ", …" : ""}`;
  const waits = `${who} ${victims.length === 1 ? "waits" : "wait"}, the longest ${duration(longest.seconds)} with ${quoted(longest.query)}`;
  const severity = longest.seconds >= LONG * thresholds.blocked ? "error" : "warning";
  const session = sessions.find((one) => one.pid === pid);
  if (pid === 0) {
    return {
      severity,
      subject: "a prepared transaction",
      evidence: `it blocks others: ${waits}`,
      cause: "a two-phase commit was prepared and not ended: its locks stay, even over a restart",
      remedies: [],
      advice:
        "opsctl query postgres \"SELECT * FROM pg_prepared_xacts\", then COMMIT PREPARED or ROLLBACK PREPARED 'ID'",
    };
  }
  const isIdle = session?.state?.startsWith("idle") === true;
  const doing =
    session?.state == null
      ? "what it does is hidden from this role"
      : isIdle
        ? `it is ${session.state} after ${quoted(session.query)}`
        : `it runs ${quoted(session.query)}`;
  return {
    severity,
    subject: `session ${pid}`,
    evidence: `it blocks others: ${waits}; ${doing}${session ? `; ${identityOf(session)}` : ""}`,
    cause: isIdle
      ? "its program keeps a transaction open, and with it the locks that others need"
      : "it holds the locks that others need until its transaction ends",
    // there is nothing to cancel in a session that does nothing
    remedies: [statement(`SELECT ${isIdle ? "pg_terminate_backend" : "pg_cancel_backend"}(${pid})`)],
    advice: "ask its owner first: what its transaction did is rolled back",
  };
}
