import type { Bolt } from "./bolt.ts";
import { failure } from "./errors.ts";

/** A constraint or an index and the statement that makes it. */
export interface SchemaRule {
  type: "constraint" | "index";
  name: string;
  statement: string;
}

const CONSTRAINTS = "SHOW CONSTRAINTS YIELD name, createStatement";
/** Without those that belong to a constraint and the two that every database has. */
const INDEXES = `SHOW INDEXES YIELD name, type, owningConstraint, createStatement
WHERE owningConstraint IS NULL AND type <> 'LOOKUP' RETURN name, createStatement`;

/** Constraints, then indexes, each by name; in the transaction that is open. */
export async function readSchema(bolt: Bolt): Promise<SchemaRule[]> {
  const rules: SchemaRule[] = [];
  for (const [type, query] of [
    ["constraint", CONSTRAINTS],
    ["index", INDEXES],
  ] as const) {
    for (const [name, statement] of await bolt.rows(query)) {
      if (typeof name !== "string" || typeof statement !== "string") {
        throw failure("failed", bolt.place, `does not tell how the ${type} ${String(name)} is made`);
      }
      rules.push({ type, name, statement });
    }
  }
  return rules.sort((a, b) => (a.type === b.type ? (a.name < b.name ? -1 : 1) : a.type < b.type ? -1 : 1));
}
