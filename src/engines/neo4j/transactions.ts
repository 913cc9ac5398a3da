/** Transactions that a server runs, without that of the question. */
import type { Call } from "../../call.ts";
import type { Neo4jConnection } from "./connect.ts";
import { told } from "./server-facts.ts";

export interface RunningTransaction {
  id: string;
  username: string;
  /** Address of the program that began it. */
  client: string;
  /** As the user wrote it, whole; empty between two queries. */
  query: string;
  elapsedMs: number;
  /** `Running`, `Blocked by: [neo4j-transaction-7]`, `Terminated with reason: …`. */
  status: string;
}

/** The server lists this query too: its text holds the mark that it leaves out. */
const LIST = `SHOW TRANSACTIONS YIELD transactionId, username, clientAddress, currentQuery, elapsedTime, status
WHERE NOT coalesce(currentQuery, '') CONTAINS 'opsctl lists transactions'
RETURN transactionId AS id, coalesce(username, '') AS username, coalesce(clientAddress, '') AS client,
  coalesce(currentQuery, '') AS query,
  elapsedTime.milliseconds AS elapsedMs, status ORDER BY elapsedTime.milliseconds DESC`;

/** Of all databases, oldest first; a user without the privilege sees only his own. @throws Unknowable, OpsError as `told` */
export function transactionsOf(call: Call, connection: Neo4jConnection): Promise<RunningTransaction[]> {
  return told<RunningTransaction>(call, connection, "transactions", LIST);
}
