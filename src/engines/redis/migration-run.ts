/** A runner at work: everything goes over the one connection that holds the lock. */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import type { HistoryRow, Script, Statement, Step } from "../../migrate/port.ts";
import { runStepwise } from "../../migrate/stepwise.ts";
import { RedisRefusal } from "./errors.ts";
import { type Info, readInfo } from "./info.ts";
import { configSettings, messageAt, parsedStatement } from "./migration-check.ts";
import { runConfigSet } from "./migration-config.ts";
import { type Checkpoint, HistoryWriter, keyOf } from "./migration-history.ts";
import type { Loop } from "./migration-loop.ts";
import { runLoop } from "./migration-loop-run.ts";
import type { RunnerSession } from "./migration-session.ts";
import { commandLines } from "./migration-words.ts";

/** A checkpoint that is older says too little about the keys that have come since. */
const CHECKPOINT_MAX_AGE_MS = 3_600_000;
/** How long history may take to be written after the call was aborted. */
const GRACE_MS = 5_000;
/** Commands whose second word says what they do. */
const CONTAINERS = new Set([
  "ACL",
  "CONFIG",
  "FUNCTION",
  "LATENCY",
  "MEMORY",
  "OBJECT",
  "SCRIPT",
  "SLOWLOG",
  "XGROUP",
  "XINFO",
]);

export class Runner {
  readonly #session: RunnerSession;
  readonly #history: HistoryWriter;
  /** Of the loop that runs; null: it is done. Undefined: no loop has run yet, what is stored stays. */
  #checkpoint: Checkpoint | null | undefined;

  constructor(session: RunnerSession, database: number) {
    this.#session = session;
    this.#history = new HistoryWriter(session, database);
  }

  async record(call: Call, rows: readonly HistoryRow[]): Promise<void> {
    await settled(call, (settling) => this.#history.write(settling, rows, this.#checkpoint));
  }

  async run(call: Call, step: Step): Promise<void> {
    const { rows } = await this.#history.read(call);
    const row = rows.find((one) => keyOf(one) === keyOf(step.row));
    refuseOvertaken(this.#session, step, row);
    // a checkpoint is about the statement that was under way, and only as long as nothing else has run since
    const isResumed = row?.file === step.script.file && (row.state === "running" || row.state === "failed");
    await runStepwise(
      call,
      step,
      commandLines(step.script.text),
      (written) => this.record(call, [written]),
      (statement, index) => this.#execute(call, step, statement, isResumed && index === step.from),
    );
  }

  async #execute(call: Call, step: Step, statement: Statement, isResumed: boolean): Promise<void> {
    try {
      const parsed = parsedStatement(statement);
      if ("loop" in parsed) return await this.#loop(call, step, statement, parsed.loop, isResumed);
      const { name, args } = parsed;
      const words = CONTAINERS.has(name) ? 2 : 1;
      const options = { writes: true, quotes: true, words, timeoutMs: step.limits.statementTimeoutMs };
      const settings = configSettings(name, args);
      // its answer is waited for also after a signal: otherwise nobody knows whether it took effect
      await settled(call, (settling) =>
        settings
          ? runConfigSet(settling, this.#session, settings, options)
          : this.#session.run(settling, [name, ...args], options).then(() => {}),
      );
    } catch (error) {
      throw placed(call, error, step.script, statement);
    }
  }

  async #loop(call: Call, step: Step, statement: Statement, loop: Loop, isResumed: boolean): Promise<void> {
    const { checkpoint } = await this.#history.read(call);
    const server = await serverId(call, this.#session);
    const name = checkpointName(step, statement);
    const isFresh = checkpoint !== null && Math.abs(Date.now() - checkpoint.at) < CHECKPOINT_MAX_AGE_MS;
    const isOurs = isResumed && isFresh && checkpoint.of === name && checkpoint.run_id === server;
    const from = isOurs ? checkpoint : undefined;
    const keys = await runLoop(call, this.#session, loop, {
      from,
      timeoutMs: step.limits.statementTimeoutMs,
      onPage: async (state, isDue) => {
        call.progress({ label: step.script.file, done: state.keys, unit: "keys" });
        if (server === undefined) return;
        this.#checkpoint = { of: name, run_id: server, ...state, at: Date.now() };
        if (isDue) await this.record(call, []);
      },
    });
    this.#checkpoint = null;
    call.log("INFO", `${step.script.file}: ${keys.toLocaleString("en")} keys reached`);
  }
}

/** Undefined when this user may not ask. */
async function serverId(call: Call, session: RunnerSession): Promise<string | undefined> {
  const info = await readInfo(call, session, "server").catch((error: unknown): Info => {
    if (error instanceof RedisRefusal) return {};
    throw error;
  });
  return info["run_id"];
}

/** What a checkpoint belongs to: a statement that is edited is another one. */
function checkpointName({ migration, script }: Step, { text, offset }: Statement): string {
  return sha256([migration.set, migration.version, script.file, offset, text].join("\0"));
}

/** The lock keeps other runners away, not a person. */
function refuseOvertaken(
  session: RunnerSession,
  { migration, direction }: Step,
  row: HistoryRow | undefined,
): void {
  const isDone =
    direction === "up" ? row?.state === "applied" : row === undefined || row.state === "reverted";
  if (!isDone) return;
  const state = direction === "up" ? "applied" : "rolled back";
  throw new OpsError({
    code: "locked",
    engine: "redis",
    message: `Redis at ${session.at}: somebody else has recorded ${migration.version} as ${state} meanwhile`,
    hint: "opsctl migrate status redis",
  });
}

/** Errors about a statement say where it stands. */
function placed(call: Call, error: unknown, script: Script, statement: Statement): unknown {
  if (!(error instanceof OpsError) || call.signal.aborted || error.code === "locked") return error;
  return new OpsError({
    code: error.code,
    engine: "redis",
    message: messageAt(script, statement, 0, error.message),
    hint: error.hint ?? "correct the file and run the command again: it goes on with this statement",
  });
}

/** Runs work that must not be cut off in the middle: an aborted call leaves it some seconds. */
async function settled<T>(call: Call, work: (settling: Call) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => controller.abort(call.signal.reason), GRACE_MS);
  };
  if (call.signal.aborted) onAbort();
  else call.signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await work({ ...call, signal: controller.signal });
  } finally {
    clearTimeout(timer);
    call.signal.removeEventListener("abort", onAbort);
  }
}
