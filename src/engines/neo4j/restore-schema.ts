/** Constraints and indexes of a file: whether the server can have them, and how they are made. */
import type { Call } from "../../call.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { RestoreFile } from "../../restore/port.ts";
import type { Neo4jConnection } from "./connect.ts";
import { isWord, partsOf, schemaChange } from "./cypher-kind.ts";
import { failure } from "./errors.ts";
import { withoutBackslash } from "./export-literals.ts";
import type { SchemaRule } from "./export-schema.ts";
import type { Patience } from "./patience.ts";

/**
 * The rules among the first lines of a file.
 * @throws OpsError `integrity` for a statement that makes no constraint or index: it would be run
 */
export function rulesOf(file: RestoreFile, head: readonly Record<string, unknown>[]): SchemaRule[] {
  return head.flatMap(({ type, name, statement }, index) => {
    if (type !== "constraint" && type !== "index") return [];
    const change = typeof statement === "string" ? schemaChange(statement) : undefined;
    if (change?.verb === "create" && change.object === type && isOne(String(statement))) {
      return [{ type, name: String(name), statement: String(statement) }];
    }
    const what = `line ${index + 1}: its statement does not make a${type === "index" ? "n index" : " constraint"}`;
    throw new OpsError({ code: "integrity", engine: "neo4j", message: `${file.path}: ${what}` });
  });
}

function isOne(statement: string): boolean {
  return !partsOf(statement).some(({ text }) => text === ";");
}

/** Why a server of this edition cannot have the rule; undefined: it can. */
export function refusal({ type, name, statement }: SchemaRule, edition: string): string | undefined {
  if (edition !== "community" || type !== "constraint") return undefined;
  const parts = partsOf(statement);
  if (parts.some((part) => isWord(part, "UNIQUE"))) return undefined;
  const has = (...words: string[]) => parts.some((part) => isWord(part, ...words));
  const kind = has("KEY")
    ? "a key constraint"
    : has("NULL")
      ? "an existence constraint"
      : "a property type constraint";
  return `the constraint ${JSON.stringify(name)} is ${kind}`;
}

/** How Neo4j names what breaks a constraint: `Both Node(0) and Node(1) have …`. */
const BREAKS = /\n(?:Both )?(?:Node|Relationship)\(\d+\) /;

/**
 * Makes them, when the data are there: filling an index at once is quicker than filling it row by row.
 * @throws OpsError naming the one that the server refuses: `integrity` when the data break it
 */
export async function makeSchema(
  call: Call,
  connection: Neo4jConnection,
  rules: readonly SchemaRule[],
  patience: Patience,
): Promise<void> {
  for (const { type, name, statement } of rules) {
    try {
      await connection.command(call, withoutBackslash(statement), patience);
    } catch (error) {
      const known = toOpsError(error);
      if (known.code !== "failed") throw error;
      const what = `cannot have the ${type} ${JSON.stringify(name)}: ${known.message}`;
      const isBroken = known.cause instanceof Error && BREAKS.test(known.cause.message);
      throw failure(isBroken ? "integrity" : "failed", connection.place, what, known.hint, error);
    }
  }
}
