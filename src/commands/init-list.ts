import type * as v from "valibot";
import type { setList } from "../contract/operations.ts";
import type { Degraded } from "../errors.ts";
import type { ListedSet } from "../migrate/list.ts";
import type { Io, Style } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";

type SetRow = v.InferOutput<typeof setList>["sets"][number];

/** Columns of `init --list`: engine, set, schema version, state, applied version, title, `yes` for a default set. */
const COLUMNS: readonly Column<SetRow>[] = [
  { header: "engine", value: (row) => row.engine },
  { header: "set", value: (row) => row.set },
  { header: "schema", value: (row) => row.schema_version },
  { header: "state", value: (row) => row.state, style: (row) => STYLES[row.state] ?? "dim" },
  { header: "applied", value: (row) => row.applied },
  { header: "what it holds", value: (row) => row.title, flexible: true },
  { header: "default", value: (row) => (row.default ? "yes" : null) },
];

const STYLES: Partial<Record<SetRow["state"], Style>> = { applied: "green", partly: "yellow" };

export function renderSets({ sets, degraded }: { sets: ListedSet[]; degraded: Degraded[] }) {
  const rows = sets.map(({ shipped, ...listed }): SetRow => {
    const { engine, set, title, schemaVersion, isDefault } = shipped;
    return { engine, set, title, schema_version: schemaVersion, ...listed, default: isDefault };
  });
  const data: v.InferOutput<typeof setList> = { sets: rows, degraded };
  return { data, render: (io: Io) => printTable(io, COLUMNS, rows), degraded };
}
