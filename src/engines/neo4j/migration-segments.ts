import type { Statement } from "../../migrate/port.ts";
import { type Kind, kindOf, schemaChange } from "./cypher-kind.ts";

/** Statements that follow one another and are recorded together. */
export interface Segment {
  kind: Kind;
  from: number;
  /** Exclusive. */
  to: number;
  /** More of the kind may follow: on data, or on the schema with IF [NOT] EXISTS, which do no harm when all of them run again. */
  isOpen: boolean;
}

/** Cuts what is left of a script. */
export function segmentsOf(statements: readonly Statement[], from: number): Segment[] {
  const segments: Segment[] = [];
  for (const [index, { text }] of statements.entries()) {
    if (index < from) continue;
    const kind = kindOf(text);
    const isOpen = kind === "data" || schemaChange(text)?.isGuarded === true;
    const last = segments.at(-1);
    if (isOpen && last?.isOpen && last.kind === kind) last.to = index + 1;
    else segments.push({ kind, from: index, to: index + 1, isOpen });
  }
  return segments;
}

/** The index that a statement on the schema makes; its name is null when Neo4j, or a procedure, chooses it. Undefined: it makes none. */
export function indexMadeBy(statement: string): { name: string | null } | undefined {
  const change = schemaChange(statement);
  if (!change) return { name: null };
  return change.verb === "create" && change.object === "index" ? change : undefined;
}
