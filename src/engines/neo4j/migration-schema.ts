/** Statements that change the schema: whether one has taken effect, and when its index can be used. */
import { setTimeout as delay } from "node:timers/promises";
import { type Call, throwIfAborted } from "../../call.ts";
import { type OpsError, toOpsError } from "../../errors.ts";
import type { Statement } from "../../migrate/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { type SchemaChange, schemaChange } from "./cypher-kind.ts";
import { failure, isDriverError } from "./errors.ts";

/** Seconds for which the server waits first: most indexes are built at once. */
const WAIT_SECONDS = 2;
const POLL_MS = 200;

/** The names that Neo4j makes up. */
const MADE_UP = /^index_[0-9a-f]{1,8}$/;

interface IndexState {
  name: string;
  state: string;
  percent: number;
  problem: string;
}

const UNUSABLE = `SHOW INDEXES YIELD name, state, populationPercent, failureMessage WHERE state <> 'ONLINE'
RETURN name, state, populationPercent AS percent, failureMessage AS problem`;

/** Whether the refusal says that what the statement wants is so already. An equal index of another name is something else. */
export function hasTakenEffect({ cause }: OpsError, { verb }: SchemaChange): boolean {
  if (!isDriverError(cause)) return false;
  if (verb === "create") return /\.Schema\.EquivalentSchemaRuleAlreadyExists$/.test(cause.code);
  return (
    /\.Schema\.(Index|Constraint)DropFailed$/.test(cause.code) &&
    /there is no such index|no such constraint/i.test(cause.message)
  );
}

/**
 * Waits until the index that a statement made can be used.
 * @param name null: Neo4j made one up
 * @param isNew the statement has just made it: if it cannot be built it is dropped again, so that the statement has done nothing
 * @throws OpsError `failed` when it could not be built
 */
export async function awaitIndex(
  call: Call,
  connection: Neo4jConnection,
  name: string | null,
  isNew: boolean,
): Promise<void> {
  // a procedure needs no plan: the change of the schema has just thrown away those of all queries
  const wait =
    name === null ? `CALL db.awaitIndexes(${WAIT_SECONDS})` : `CALL db.awaitIndex($name, ${WAIT_SECONDS})`;
  try {
    await connection.read(call, wait, { name });
  } catch (error) {
    const { cause } = toOpsError(error);
    // not yet, failed, or there is none (EXPLAIN; an equal one of another name)
    const isAnswer = isDriverError(cause) && /\.(Procedure|Schema)\./.test(cause.code);
    if (!isAnswer) throw error;
    const isMeant = (index: string) => (name === null ? MADE_UP.test(index) : index === name);
    await awaitIndexes(call, connection, isMeant, isNew);
  }
}

/** Waits until indexes can be used. @throws OpsError as `awaitIndex` */
export async function awaitIndexes(
  call: Call,
  connection: Neo4jConnection,
  isMeant: (name: string) => boolean,
  isNew: boolean,
): Promise<void> {
  for (;;) {
    const unusable = await connection.read<IndexState>(call, UNUSABLE);
    const meant = unusable.filter(({ name }) => isMeant(name));
    if (meant.length === 0) return;
    const failed = meant.find(({ state }) => state === "FAILED");
    if (failed) throw await notBuilt(call, connection, failed, isNew);
    const percents = meant.map(({ name, percent }) => `${name} ${percent.toFixed(0)} %`).join(", ");
    call.log("DEBUG", `Neo4j builds indexes: ${percents}`);
    await delay(POLL_MS, undefined, { signal: call.signal }).catch(() => throwIfAborted(call));
  }
}

async function notBuilt(
  call: Call,
  connection: Neo4jConnection,
  { name, problem }: IndexState,
  isNew: boolean,
): Promise<OpsError> {
  const drop = `DROP INDEX ${quoted(name)} IF EXISTS`;
  if (isNew) await connection.command(call, drop);
  // the rest may quote values
  const why = /too large to index/.test(problem) ? "a value is too large for it" : "its log says why";
  const what = `could not build the index ${name}: ${why}`;
  if (isNew) return failure("failed", connection.place, `${what}; it was dropped again`, "mend the data");
  return failure("failed", connection.place, what, `mend the data, then ${drop}`);
}

export function quoted(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

/** Names of the indexes that exist when all statements have run, those of constraints included. */
export function indexNames(statements: readonly Statement[]): string[] {
  const names = new Set<string>();
  for (const { text } of statements) {
    const change = schemaChange(text);
    if (!change?.name) continue;
    if (change.verb === "create") names.add(change.name);
    else names.delete(change.name);
  }
  return [...names];
}
