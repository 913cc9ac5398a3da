import { randomBytes } from "node:crypto";
import { OpsError } from "../../errors.ts";
import type { Probe } from "../../health/port.ts";
import type { PostgresConnection } from "./connect.ts";
import { sqlState } from "./errors.ts";
import type { LentSession } from "./session.ts";

export function postgresProbe(connection: PostgresConnection): Probe {
  return {
    /** Asks for the version first, so that the measured round trip contains no connecting. */
    async probe(call) {
      const session = await connection.lend(call);
      let isDone = false;
      try {
        const rows = await session.query<{ version: string }>(
          "SELECT current_setting('server_version') AS version",
        );
        const startedAt = performance.now();
        await session.query("SELECT 1");
        isDone = true;
        // "15.20 (Debian 15.20-0+deb12u1)": the number is enough
        return { version: rows[0]!.version.split(" ")[0]!, latency_ms: performance.now() - startedAt };
      } catch (error) {
        throw connection.explain(error);
      } finally {
        session.release(!isDone);
      }
    },

    /** A row of a temporary table, which the server drops with the transaction, however that ends. */
    async selfTest(call) {
      const session = await connection.lend(call);
      let isDone = false;
      try {
        await writeAndRead(connection, session);
        isDone = true;
      } finally {
        session.release(!isDone);
      }
    },
  };
}

const TABLE = "pg_temp.opsctl_health";

/**
 * All steps in one round trip: a server far away would take longer than it is given. The server compares what it reads, and divides by zero
 * when it is something else; behind a step that fails nothing runs.
 */
async function writeAndRead(connection: PostgresConnection, session: LentSession): Promise<void> {
  // both are hexadecimal digits
  const id = randomBytes(8).toString("hex");
  const value = randomBytes(16).toString("hex");
  const row = `FROM ${TABLE} WHERE id = '${id}'`;
  const steps: readonly [name: string, text: string][] = [
    ["begin", "BEGIN"],
    ["create", "CREATE TEMPORARY TABLE opsctl_health (id text PRIMARY KEY, value text) ON COMMIT DROP"],
    ["set", `INSERT INTO ${TABLE} VALUES ('${id}', '${value}')`],
    ["get", `SELECT 1 / (count(*) FILTER (WHERE value = '${value}')) ${row}`],
    ["delete", `DELETE ${row}`],
    ["get after delete", `SELECT 1 / (1 - count(*)) ${row}`],
    ["end", "ROLLBACK"],
  ];
  let done = 0;
  const onDone = () => {
    done += 1;
  };
  try {
    await session.run(steps.map(([, text]) => text).join("; "), { onDone });
  } catch (error) {
    // an answer that was lost on the way back was to the last step
    throw stepFailed(connection, (steps[done] ?? steps.at(-1)!)[0], error);
  }
}

/** A standby and a server set to read-only refuse with 25006. */
function stepFailed(connection: PostgresConnection, step: string, error: unknown): OpsError {
  const known = connection.explain(error);
  if (known.code !== "failed") return known;
  if (sqlState(error) === "22012") {
    return failed(connection, step, "something else came back", "look at the server's log and its disk");
  }
  if (sqlState(error) === "25006") {
    return failed(
      connection,
      step,
      "it is read-only: a standby, or default_transaction_read_only",
      known.hint,
    );
  }
  const hint =
    sqlState(error) === "42501"
      ? `GRANT TEMPORARY ON DATABASE "${connection.where.database}" TO "${connection.where.user}"`
      : known.hint;
  return failed(connection, step, known.message, hint);
}

function failed(
  { where }: PostgresConnection,
  step: string,
  what: string,
  hint: string | undefined,
): OpsError {
  return new OpsError({
    code: "failed",
    engine: "postgres",
    message: `PostgreSQL at ${where.address}: the write test failed at "${step}": ${what}`,
    hint,
  });
}
