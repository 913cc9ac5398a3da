import type { Plan } from "neo4j-driver";

export const PLAN_COLUMNS = ["operator", "details", "estimated_rows"] as const;

/** The operators of a plan as rows, the last to run first; what an operator reads from stands below it, indented. */
export function planRows(plan: Plan, depth = 0): unknown[][] {
  const { operatorType, arguments: told, children } = plan;
  const { Details, EstimatedRows } = told as { Details?: unknown; EstimatedRows?: unknown };
  // `Filter@neo4j`: the database stands behind
  const operator = `${"  ".repeat(depth)}${operatorType.replace(/@.*$/, "")}`;
  const row = [
    operator,
    typeof Details === "string" ? Details : "",
    EstimatedRows === undefined ? null : Number(EstimatedRows),
  ];
  return [row, ...children.flatMap((child) => planRows(child, depth + 1))];
}
