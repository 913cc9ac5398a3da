/** Transactions that take long, and those that wait for others. */
import type { Found } from "../../../health/doctor/check.ts";
import { excerpt } from "../server-facts.ts";
import { type RunningTransaction, transactionsOf } from "../transactions.ts";
import { cypher, type Neo4jCheck, seconds } from "./common.ts";

export const slowTransaction: Neo4jCheck = {
  id: "neo4j-slow-transaction",
  area: "neo4j",
  title: "a transaction runs for long",
  looks: "SHOW TRANSACTIONS: elapsedTime",
  async run(call, { connection, thresholds }) {
    const limitMs = thresholds.slow_transaction * 1000;
    const running = await transactionsOf(call, connection);
    return (
      running
        // one that was ended is listed until its program notices
        .filter(({ elapsedMs, status }) => elapsedMs >= limitMs && !/^Terminated/.test(status))
        .map((one) => ({
          severity: "warning",
          subject: `transaction ${one.id}`,
          evidence: `runs for ${seconds(one.elapsedMs)} (limit ${thresholds.slow_transaction} s); ${described(one)}`,
          cause:
            "it keeps its locks and its memory until it ends; an idle one was mostly forgotten by its program",
          remedies: [terminate(one.id)],
          advice: "end it only when nobody waits for it: what it has written is rolled back",
        }))
    );
  },
};

export const blockedTransaction: Neo4jCheck = {
  id: "neo4j-blocked-transaction",
  area: "neo4j",
  title: "a transaction waits for the locks of another",
  looks: "SHOW TRANSACTIONS: status Blocked",
  async run(call, { connection, thresholds }) {
    const limitMs = thresholds.blocked * 1000;
    const running = await transactionsOf(call, connection);
    return running
      .filter(({ status, elapsedMs }) => /^Blocked by/.test(status) && elapsedMs >= limitMs)
      .map((one) => blocked(one, running));
  },
};

function blocked(one: RunningTransaction, running: readonly RunningTransaction[]): Found {
  const holders = blockersOf(one, running);
  const who = holders.map((holder) => `${holder.id} (${described(holder)})`).join(", ");
  return {
    severity: "warning",
    subject: `transaction ${one.id}`,
    evidence: `runs for ${seconds(one.elapsedMs)} and waits for ${who || "another transaction"}; ${described(one)}`,
    cause:
      "two transactions want to change the same nodes, relationships or schema: the second waits until the first ends",
    remedies: rootsOf(holders, running).map(({ id }) => terminate(id)),
    advice: "ending the one that holds the locks rolls back what it has written",
  };
}

function blockersOf({ status }: RunningTransaction, running: readonly RunningTransaction[]) {
  const ids: readonly string[] = status.match(/[\w.-]+-transaction-\d+/g) ?? [];
  return running.filter(({ id }) => ids.includes(id));
}

/** Those at the head of the queue: ending one that waits itself frees nobody. */
function rootsOf(
  holders: readonly RunningTransaction[],
  running: readonly RunningTransaction[],
): RunningTransaction[] {
  const seen = new Set<RunningTransaction>(holders);
  for (const holder of seen) for (const next of blockersOf(holder, running)) seen.add(next);
  return [...seen].filter((holder) => blockersOf(holder, running).length === 0);
}

function described({ query, username, client }: RunningTransaction): string {
  const whose = `user ${username || "unknown"}${client === "" ? "" : ` at ${client}`}`;
  return query === "" ? `${whose}, idle: no query at the moment` : `${whose}, query: ${excerpt(query)}`;
}

function terminate(id: string) {
  return cypher(`TERMINATE TRANSACTION '${id.replaceAll("'", "")}'`, false);
}
