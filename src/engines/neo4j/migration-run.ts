/**
 * Runs a script. Neo4j puts no schema and data into one transaction, so it is cut at statement borders: statements on data that follow one
 * another run in one transaction that ends with the record of them (they are done and recorded, or neither), all others run one by one, and
 * history says before each which one is under way.
 */
import { isDeepStrictEqual } from "node:util";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { HistoryRow, Statement, Step } from "../../migrate/port.ts";
import { doneRow, isRefusal, unfinishedRow } from "../../migrate/stepwise.ts";
import type { Neo4jConnection } from "./connect.ts";
import { type Kind, schemaChange } from "./cypher-kind.ts";
import { isDriverError, unreachable } from "./errors.ts";
import { placed } from "./migration-errors.ts";
import { readRow, saveRow, saveRowIn } from "./migration-history.ts";
import { extendLease, type Held, lastWords, refuseStale } from "./migration-lock.ts";
import { countOwn, refuseLossIn, reportLoss } from "./migration-own.ts";
import { awaitIndex, hasTakenEffect } from "./migration-schema.ts";
import { indexMadeBy, type Segment, segmentsOf } from "./migration-segments.ts";
import type { Effects, Patience } from "./patience.ts";
import { splitCypher } from "./statements.ts";

/**
 * @param before the version's row as it is now
 * @throws OpsError as the port's `run`
 */
export async function runScript(
  call: Call,
  connection: Neo4jConnection,
  held: Held,
  step: Step,
  before: HistoryRow | undefined,
): Promise<void> {
  await new ScriptRun(call, connection, held, step, before).run();
}

class ScriptRun {
  readonly #call: Call;
  readonly #connection: Neo4jConnection;
  readonly #held: Held;
  readonly #step: Step;
  readonly #statements: readonly Statement[];
  readonly #patience: Patience;
  readonly #startedAt = performance.now();
  /** Statements that are done and recorded. */
  #done: number;
  /** This run has said in the history that the script is under way. */
  #isRecorded = false;
  /** The first statement was under way when another run was broken off: it may have taken effect. */
  #isInDoubt: boolean;
  /** The current statement is done, its record is not. */
  #isExecuted = false;
  /** Which statement the server works on. */
  #current: number | undefined;

  constructor(
    call: Call,
    connection: Neo4jConnection,
    held: Held,
    step: Step,
    before: HistoryRow | undefined,
  ) {
    this.#call = call;
    this.#connection = connection;
    this.#held = held;
    this.#step = step;
    this.#statements = splitCypher(step.script.text);
    this.#done = step.from;
    this.#isInDoubt =
      before?.state === "running" && before.statement_index === step.from && before.file === step.script.file;
    this.#patience = {
      statementMs: step.limits.statementTimeoutMs,
      runner: held.holder,
      beforeSending: () => refuseStale(connection, held),
    };
  }

  async run(): Promise<void> {
    const segments = segmentsOf(this.#statements, this.#done);
    // comments alone, or a script that was broken off behind its last statement
    if (segments.length === 0) await this.#save(this.#rowAfter(this.#done));
    for (const segment of segments) {
      try {
        throwIfAborted(this.#call);
        if (segment.kind === "data") await this.#runTogether(segment);
        else await this.#runOneByOne(segment);
      } catch (error) {
        throw await this.#explain(error, segment);
      }
      this.#done = segment.to;
      this.#isRecorded = true;
      this.#isInDoubt = false;
      this.#isExecuted = false;
    }
  }

  /** All in one transaction, which ends with the record. */
  async #runTogether(segment: Segment): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#transaction(segment);
      } catch (error) {
        if (!isLoss(error)) throw error;
        if (await this.#isCommitted(segment, error)) return;
        if (tries === 2) throw unreachable(this.#connection.place, "lost the connection", undefined, error);
      }
    }
  }

  #transaction({ from, to }: Segment): Promise<void> {
    return this.#connection.transact(this.#call, this.#patience, async ({ execute, run }) => {
      for (let index = from; index < to; index += 1) {
        this.#current = index;
        const executed = execute(this.#statements[index]!.text);
        // the record follows the last statement without waiting for its answer: after an error the server skips it
        const isLast = index === to - 1;
        const saved = isLast ? saveRowIn(run, this.#connection, this.#held, this.#rowAfter(to)) : undefined;
        saved?.catch(() => {});
        const { nodesDeleted } = await executed;
        if (nodesDeleted > 0) await refuseLossIn(run, this.#call, this.#connection, this.#step.row);
        if (isLast) this.#current = undefined;
        await saved;
        this.#report(index + 1);
      }
    });
  }

  /**
   * Whether a transaction whose end is unknown is recorded: extending the lease waits until it has left the lock's node.
   * @throws OpsError `locked`; the first error when the server cannot be asked
   */
  async #isCommitted({ to }: Segment, error: unknown): Promise<boolean> {
    const [call, connection] = [this.#call, this.#connection];
    const { set_name, version, applied_at, applied_by, state, statement_index } = this.#rowAfter(to);
    try {
      const rows = await connection.write(call, async (run) => {
        await extendLease(run, connection, this.#held);
        return readRow(run, set_name, version);
      });
      const wanted = { applied_at, applied_by, state, statement_index };
      return rows.some((row) => isDeepStrictEqual(row, wanted));
    } catch (second) {
      throw second instanceof OpsError && second.code === "locked" ? second : error;
    }
  }

  /** Each commits by itself; the record comes when all of them are done and their indexes can be used. */
  async #runOneByOne({ kind, from, to }: Segment): Promise<void> {
    const [call, connection] = [this.#call, this.#connection];
    if (!this.#isRecorded) await this.#announce();
    const own = kind === "autocommit" ? await countOwn(call, connection, this.#step.row) : undefined;
    const made: { index: number; name: string | null; isNew: boolean }[] = [];
    for (let index = from; index < to; index += 1) {
      const { text } = this.#begin(index);
      const { nodesDeleted, indexesAdded } = await this.#command(text);
      if (own && nodesDeleted > 0) await reportLoss(call, connection, this.#step.row, own);
      const one = kind === "schema" ? indexMadeBy(text) : undefined;
      if (one) made.push({ index, name: one.name, isNew: indexesAdded > 0 });
      this.#report(index + 1);
    }
    for (const { index, name, isNew } of made) {
      this.#begin(index);
      await awaitIndex(call, connection, name, isNew);
    }
    this.#begin(to - 1);
    this.#isExecuted = true;
    await this.#save(this.#rowAfter(to));
    this.#current = undefined;
  }

  /** From here on errors are about this statement, and those before it are done. */
  #begin(index: number): Statement {
    this.#done = index;
    this.#current = index;
    return this.#statements[index]!;
  }

  /** Says in the history which statement comes. */
  async #announce(): Promise<void> {
    await this.#save(unfinishedRow(this.#step, "running", this.#statements, this.#done, 0));
    this.#isRecorded = true;
  }

  async #command(text: string): Promise<Effects> {
    try {
      return await this.#connection.command(this.#call, text, this.#patience);
    } catch (error) {
      const change = schemaChange(text);
      const isDone = this.#isInDoubt && change && error instanceof OpsError && hasTakenEffect(error, change);
      if (!isDone) throw error;
      const message = `${this.#step.script.file}: the statement that was under way had taken effect`;
      this.#call.log("INFO", message, { statement: this.#done + 1 });
      return { nodesDeleted: 0, indexesAdded: 0 };
    }
  }

  #save(row: HistoryRow): Promise<void> {
    return saveRow(this.#call, this.#connection, this.#held, row);
  }

  #rowAfter(done: number): HistoryRow {
    const durationMs = Math.round(performance.now() - this.#startedAt);
    if (done === this.#statements.length) return doneRow(this.#step, durationMs);
    return unfinishedRow(this.#step, "running", this.#statements, done, durationMs);
  }

  #report(done: number): void {
    const total = this.#statements.length;
    this.#call.progress({ label: this.#step.script.file, done, total, unit: "statements" });
  }

  /** The error with its place; history says `failed` when it is sure that the statement under way did nothing. */
  async #explain(error: unknown, { kind }: Segment): Promise<OpsError> {
    const known = toOpsError(error);
    const hasActed = this.#isExecuted || (kind === "autocommit" && !hasDoneNothing(known));
    const isRefused = isRefusal(this.#call, error) && !hasActed;
    const isUnbegun = this.#current === undefined && kind !== "data";
    const lost = await this.#settle(known, kind, isRefused || isUnbegun);
    if (lost) return lost;
    const statement = this.#current === undefined ? undefined : this.#statements[this.#current];
    // the lock, an interruption: nothing that a place in the file explains
    const isOwn = known.cause === undefined && (known.code === "locked" || statement === undefined);
    if (isOwn || known.code === "interrupted" || known.code === "terminated") return known;
    return placed(known, this.#step.script, statement, this.#advice(kind, isRefused));
  }

  #advice(kind: Kind, isRefused: boolean): string {
    if (kind === "autocommit" && !isRefused) {
      return "the batches it had done are kept: make it safe to repeat, then `opsctl migrate repair neo4j --retry` with the flags of this run";
    }
    if (this.#done === 0) return "nothing of the file was kept; correct it and run the command again";
    const kept =
      this.#done === 1 ? "the statement before it is" : `the ${this.#done} statements before it are`;
    return `${kept} kept; correct it and run the command again: it goes on there`;
  }

  /** Records the failure where there is something to record. Returns the error when the lock turns out to be lost. */
  async #settle(error: OpsError, kind: Kind, isSure: boolean): Promise<OpsError | undefined> {
    const call = lastWords(this.#call);
    const [connection, held] = [this.#connection, this.#held];
    // data is never in doubt: all of it is rolled back, and a file that begins with it leaves no trace
    const isBroken = this.#isRecorded ? !this.#isInDoubt : kind === "data" && this.#step.from > 0;
    try {
      if (isSure && isBroken) {
        const durationMs = Math.round(performance.now() - this.#startedAt);
        const row = unfinishedRow(this.#step, "failed", this.#statements, this.#done, durationMs);
        await saveRow(call, connection, held, row);
      } else if (wasTerminated(error)) {
        await connection.write(call, (run) => extendLease(run, connection, held));
      }
      return undefined;
    } catch (second) {
      // the first error is the one to report; a history that cannot be written goes on saying `running`
      return second instanceof OpsError && second.code === "locked" ? second : undefined;
    }
  }
}

function isLoss(error: unknown): boolean {
  return error instanceof OpsError && (error.code === "unreachable" || error.code === "unknown_outcome");
}

/** Whoever took the lock has ended what the former holder still had running. */
function wasTerminated({ cause }: OpsError): boolean {
  return isDriverError(cause) && /\.Transaction\.Terminated$/.test(cause.code);
}

/** Of a statement that commits batch by batch: it failed before the first one was done. */
function hasDoneNothing({ cause }: OpsError): boolean {
  if (!isDriverError(cause)) return false;
  const isUnread = /\.(SyntaxError|SemanticError|ParameterMissing|ProcedureNotFound)$/.test(cause.code);
  return isUnread || cause.message.includes("(Transactions committed: 0)");
}
