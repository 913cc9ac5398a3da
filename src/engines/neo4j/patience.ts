/** Statements of migrations: they take as long as they need, as long as the server is there and works on them. */
import type { Result } from "neo4j-driver";
import { bounded, NoAnswer } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import { toOpsError } from "../../errors.ts";
import type { Neo4jConnection, Run } from "./connect.ts";
import { failure, type Place, TransactionGone } from "./errors.ts";

/** What a statement may take, in place of the limit for queries. */
export interface Patience {
  /** One statement, ms; null: as long as it needs. */
  statementMs: number | null;
  /** Its transaction carries this as `opsctl_runner`, so that somebody else can find and end it. */
  runner: string;
  /** It may be done again when a commit's answer was lost. */
  isRepeatable?: boolean;
  /** Called right before something is sent that commits by itself. Throws when it must not be sent any more. */
  beforeSending?(): void;
}

/** What a statement did. */
export interface Effects {
  nodesDeleted: number;
  indexesAdded: number;
}

/** One transaction of a migration. */
export interface LongTransaction {
  /** Runs a statement to its end; its rows are read and dropped. */
  execute(query: string): Promise<Effects>;
  run: Run;
}

/** How often the server is asked whether it still works, ms. */
const ASK_EVERY_MS = 3_000;
/** When it knows nothing of the transaction the answer may be under way: it is asked once more. */
const ASK_AGAIN_MS = 1_000;

/**
 * The work's result, however long it takes. Between the questions of `isAtWork` it is believed to go on.
 * @throws TransactionGone; what `isAtWork` throws when the server is silent; OpsError of the signal's reason on abort
 */
export async function watched<T>(
  working: Promise<T>,
  signal: AbortSignal,
  isAtWork: () => Promise<boolean>,
): Promise<T> {
  let isMissing = false;
  for (;;) {
    try {
      return await bounded(working, isMissing ? ASK_AGAIN_MS : ASK_EVERY_MS, signal);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
    }
    const wasMissing = isMissing;
    isMissing = !(await isAtWork());
    if (wasMissing && isMissing) throw new TransactionGone("the server knows nothing of the transaction");
  }
}

const ASK = "SHOW TRANSACTIONS YIELD metaData WHERE metaData.opsctl_work = $id RETURN 1 AS found";

/**
 * Whether the server knows the transaction with this mark. One that refuses to tell is there, and is believed.
 * @throws NoAnswer when it is silent twice, each time for as long as connecting and a question may take
 */
export async function isAtWork(call: Call, aside: Neo4jConnection, id: string): Promise<boolean> {
  const startedAt = performance.now();
  for (let asked = 1; ; asked += 1) {
    try {
      return (await aside.read(call, ASK, { id })).length > 0;
    } catch (error) {
      if (toOpsError(error).code !== "unreachable") return true;
      if (asked === 2) throw new NoAnswer(Math.round(performance.now() - startedAt));
    }
  }
}

/** Rows are read to the end, because asking to leave them out also leaves out what would have failed in them. */
export function drained(result: Result): Promise<Effects> {
  return new Promise((resolve, reject) => {
    result.subscribe({
      // without it the driver stops at the first batch
      onNext: () => {},
      onCompleted: ({ counters }) => {
        const { nodesDeleted = 0, indexesAdded = 0 } = counters.updates();
        resolve({ nodesDeleted, indexesAdded });
      },
      onError: reject,
    });
  });
}

/** @throws OpsError `failed` (its cause is a NoAnswer) when the statement takes longer than it may */
export async function withinLimit<T>(
  answer: Promise<T>,
  { statementMs }: Patience,
  place: Place,
  signal: AbortSignal,
): Promise<T> {
  if (statementMs === null) return answer;
  try {
    return await bounded(answer, statementMs, signal);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    const what = `was too slow: the statement took longer than ${statementMs} ms and was ended`;
    throw failure("failed", place, what, "raise --statement-timeout", error);
  }
}
