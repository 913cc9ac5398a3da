/**
 * A process for one statement on a SQLite file. SQLite cannot be stopped from JavaScript while it works, not even in a thread; a process can, and
 * SQLite's files are made for that: what was not committed was never there. Its own thread does the work, so that it notices when nobody waits.
 */
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type OpsError, toOpsError } from "../../errors.ts";
import type { QueryResult } from "../../query/port.ts";
import { openForeign } from "./open.ts";
import { refusal, runStatement, type StatementRequest } from "./query-statement.ts";

/** The file is open: from here on the statement takes its time. */
const OPEN = "open";

/** What it prints, as JSON, after an empty line that says that the file is open. */
export type Answer = { value: QueryResult } | { error: Pick<OpsError, "code" | "message" | "hint"> };

if (isMainThread) {
  let text = "";
  process.stdin.on("data", (chunk) => {
    text += chunk;
    if (text.endsWith("\n")) start(JSON.parse(text) as StatementRequest);
  });
  // whoever asked is gone: nothing would end a statement that never ends
  process.stdin.on("end", () => process.kill(process.pid, "SIGKILL"));
} else {
  parentPort!.postMessage(answerTo(workerData as StatementRequest));
}

function start(request: StatementRequest): void {
  const worker = new Worker(process.argv[1]!, { workerData: request });
  worker.on("message", (answer: Answer | typeof OPEN) => {
    if (answer === OPEN) process.stdout.write("\n");
    else print(answer);
  });
  worker.on("error", (error) => {
    const { code, message } = toOpsError(error);
    print({ error: { code, message, hint: undefined } });
  });
}

function print(answer: Answer): void {
  process.stdin.removeAllListeners("end").destroy();
  process.stdout.write(JSON.stringify(answer));
}

function answerTo(request: StatementRequest): Answer {
  try {
    const database = openForeign({ path: request.path, foreign: true });
    parentPort!.postMessage(OPEN);
    try {
      return { value: runStatement(database, request) };
    } finally {
      database.close();
    }
  } catch (error) {
    const { code, message, hint } = refusal(error, request.path);
    return { error: { code, message, hint } };
  }
}
