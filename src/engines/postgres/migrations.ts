import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Change, MigrationTarget, Script, Step } from "../../migrate/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { prepareDatabase } from "./database.ts";
import { prepareExtensions, unavailableReason } from "./extensions.ts";
import { checkScript } from "./migration-check.ts";
import { type Ask, ensureHistory, readHistory, writeRows } from "./migration-history.ts";
import { type Held, withMigrationLock } from "./migration-lock.ts";
import { refuseTransactionPooler, type SessionNeed } from "./migration-pooler.ts";
import { runSteps } from "./migration-steps.ts";
import { occupantsOf, peerHistoryOf } from "./migration-surroundings.ts";
import { runInTransaction } from "./migration-transaction.ts";
import type { LentSession } from "./session.ts";
import { piecesOf, splitSql } from "./split.ts";
import { isRepeatable, runsOutsideTransaction } from "./statement-kind.ts";
import { countSet } from "./verify.ts";

const NEED: SessionNeed = {
  reason: "a migration lock protects nothing there",
  setting: "MIGRATION_DATABASE_URL",
};

export function postgresMigrations(connection: PostgresConnection): MigrationTarget {
  // limits on statements are the files' own business here, and a pooler would refuse them in the greeting
  const server = connection.bare();
  let held: Held | undefined;
  let isOwnBackend = false;

  /** Asks over the session that holds the lock, where there is one: a pool of one connection has no second. */
  const asker = (call: Call): Ask => held?.keeper.ask ?? ((text, params) => server.query(call, text, params));
  const refusePooler = async (call: Call, session: LentSession) => {
    if (!isOwnBackend) await refuseTransactionPooler(server, call, session, NEED);
    isOwnBackend = true;
  };
  const holder = (): Held => {
    if (held) return held;
    throw new OpsError({ code: "failed", engine: "postgres", message: "migrations run under the lock only" });
  };

  return {
    engine: "postgres",
    history: (call) => readHistory(asker(call)),
    prepare: (call, sets, dryRun) => prepare(server, call, sets, dryRun, refusePooler),
    unavailable: (call, set) => unavailableReason(server, call, set),
    occupants: (call) => occupantsOf(asker(call)),
    peerHistory: (call, format) => peerHistoryOf(asker(call), format),
    check: checkScript,
    statements: splitSql,
    repeatable: ({ text }) => isRepeatable(text),
    exclusively: (call, waitMs, work) =>
      withMigrationLock(
        server,
        call,
        waitMs,
        (session) => refusePooler(call, session),
        async (given) => {
          held = given;
          given.session.onNotice((state, message) => {
            call.log(state.startsWith("01") ? "WARNING" : "DEBUG", `PostgreSQL: ${message}`);
          });
          try {
            return await work();
          } finally {
            held = undefined;
          }
        },
      ),
    run: async (call, step) =>
      commitsByStatement(step)
        ? runSteps(server, holder(), call, step)
        : runInTransaction(server, holder(), call, step),
    record: async (_, rows) => writeRows(holder().keeper.ask, holder().table, rows),
    verify: (call, set) => countSet(asker(call), set),
    dump: async (call) => (await import("./dump.ts")).dumpSchema(server, call),
  };
}

/** A file of its own with a statement that PostgreSQL refuses in a transaction needs no directive. */
function commitsByStatement({ script }: Step): boolean {
  return !script.inTransaction || isAlone(script);
}

function isAlone(script: Script): boolean {
  const pieces = piecesOf(script);
  return pieces.length === 1 && runsOutsideTransaction(pieces[0]!.text);
}

async function prepare(
  server: PostgresConnection,
  call: Call,
  sets: readonly string[],
  dryRun: boolean,
  refusePooler: (call: Call, session: LentSession) => Promise<void>,
): Promise<Change[]> {
  const changes = await prepareDatabase(server, call, dryRun);
  if (!dryRun) {
    const session = await server.lend(call);
    let isDone = false;
    try {
      await refusePooler(call, session);
      isDone = true;
    } finally {
      session.release(!isDone);
    }
  }
  changes.push(...(await prepareExtensions(server, call, sets, dryRun)));
  if (!dryRun) await ensureHistory((text, params) => server.query(call, text, params));
  return changes;
}
