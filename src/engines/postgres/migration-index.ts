/**
 * Indexes that are built beside running queries. When that breaks off, PostgreSQL leaves an invalid index behind, which IF NOT EXISTS takes
 * for the real one: it is looked for before and afterwards, and dropped.
 */
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { Script } from "../../migrate/port.ts";
import type { Ask } from "./migration-history.ts";
import type { ConcurrentIndex } from "./statement-kind.ts";

interface Index {
  oid: number;
  /** Quoted, with its schema. */
  name: string;
  /** It has the name that the statement gives. */
  isNamed: boolean;
  isValid: boolean;
  /** It can only be what REINDEX left. */
  isCopy: boolean;
  /** The backend that builds it at this moment. */
  builder: number | null;
}

/** What a statement about an index runs with. */
export interface IndexRun {
  call: Call;
  script: Script;
  /** Asks on the session that runs the script: names are looked up as the script would. */
  ask: Ask;
  /** Runs a statement there for as long as it takes. */
  send(sql: string): Promise<void>;
  /** An earlier run was at this statement when it broke off: it may have taken effect. */
  isInDoubt: boolean;
}

/**
 * Runs such a statement.
 * @throws what `execute` throws; OpsError `failed` when the index is invalid afterwards · `locked` while somebody else builds it
 */
export async function runConcurrently(
  run: IndexRun,
  index: ConcurrentIndex,
  execute: () => Promise<void>,
): Promise<void> {
  if (index.verb === "drop") return drop(run, index.index, execute);
  const before = await indexesOf(run.ask, index);
  if (await isBuilt(run, index, before)) return;
  const left = async () => leftBehind(index, before, await indexesOf(run.ask, index));
  try {
    await execute();
  } catch (error) {
    await clean(run, await left().catch(() => []));
    throw error;
  }
  const invalid = await left();
  if (invalid.length === 0) return;
  await clean(run, invalid);
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message: `${run.script.file}: the index ${invalid.map(({ name }) => name).join(", ")} is invalid although it was built`,
    hint: "run the command again; the server's log says what happened to it",
  });
}

async function drop(
  { call, script, ask, isInDoubt }: IndexRun,
  name: string | null,
  execute: () => Promise<void>,
): Promise<void> {
  if (isInDoubt && name !== null) {
    const rows = await ask<{ gone: boolean }>("SELECT to_regclass($1) IS NULL AS gone", [name]);
    if (rows[0]!.gone) {
      call.log("INFO", `${script.file}: ${name} was dropped before the last run broke off`);
      return;
    }
  }
  await execute();
}

/** Makes way for a new attempt. True: the last one has done it all. */
async function isBuilt(run: IndexRun, index: ConcurrentIndex, before: readonly Index[]): Promise<boolean> {
  const { call, script, isInDoubt } = run;
  if (index.verb === "reindex") {
    if (isInDoubt)
      await clean(
        run,
        before.filter(({ isCopy, isValid }) => isCopy && !isValid),
      );
    return false;
  }
  const known = before.find(({ isNamed }) => isNamed);
  if (known === undefined) return false;
  if (known.isValid) {
    if (isInDoubt) call.log("INFO", `${script.file}: ${known.name} was built before the last run broke off`);
    return isInDoubt;
  }
  refuseBuilding(script, known);
  await clean(run, [known]);
  return false;
}

function leftBehind(index: ConcurrentIndex, before: readonly Index[], after: readonly Index[]): Index[] {
  const known = new Set(before.filter(({ isNamed }) => !isNamed).map(({ oid }) => oid));
  return after.filter(
    ({ oid, isValid, isCopy, builder }) =>
      !isValid && builder === null && !known.has(oid) && (index.verb === "create" || isCopy),
  );
}

/** Drops invalid indexes. What cannot be dropped is reported, and does not hide why it was left. */
async function clean({ call, script, send }: IndexRun, indexes: readonly Index[]): Promise<void> {
  for (const { name } of indexes) {
    try {
      await send(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      call.log(
        "WARNING",
        `${script.file}: dropped the invalid index ${name}, left by a build that broke off`,
      );
    } catch {
      call.log(
        "WARNING",
        `${script.file}: an invalid index is left; drop it: DROP INDEX CONCURRENTLY ${name}`,
      );
    }
  }
}

function refuseBuilding({ file }: Script, { name, builder }: Index): void {
  if (builder === null) return;
  throw new OpsError({
    code: "locked",
    engine: "postgres",
    message: `${file}: backend ${builder} builds the index ${name} at this moment`,
    hint: `wait for it, or end it: SELECT pg_terminate_backend(${builder})`,
  });
}

/** The indexes of the table that a statement is about; of the whole database for REINDEX SCHEMA and the like. */
function indexesOf(ask: Ask, index: Exclude<ConcurrentIndex, { verb: "drop" }>): Promise<Index[]> {
  const [about, kind, name] =
    index.verb === "create" ? [index.table, "table", index.index] : [index.of, index.kind, null];
  return ask<Index>(
    `WITH about AS (
       SELECT CASE WHEN $2 = 'index' THEN (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass($1))
         ELSE to_regclass($1) END AS oid
     )
     SELECT i.indexrelid AS oid, format('%I.%I', n.nspname, c.relname) AS name, i.indisvalid AS "isValid",
       c.relname ~ '_cc(new|old)[0-9]*$' AS "isCopy", p.pid AS builder,
       coalesce(c.relname = (parse_ident($3))[1]::name, false) AS "isNamed"
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_stat_progress_create_index p ON p.index_relid = i.indexrelid
     WHERE $2 NOT IN ('index', 'table')
       OR i.indrelid IN (SELECT oid FROM about UNION SELECT t.reltoastrelid FROM pg_class t JOIN about USING (oid))`,
    [about, kind, name],
  );
}
