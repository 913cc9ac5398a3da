import type * as v from "valibot";
import type { setList } from "../contract/operations.ts";
import { type Degraded, toDegraded } from "../errors.ts";
import type { HistoryRow } from "../migrate/port.ts";
import { SHIPPED_SETS } from "../migrate/sets.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Context } from "./command.ts";

type SetRow = v.InferOutput<typeof setList>["sets"][number];

/** Columns of `init --list`: engine, set, schema version, state, applied version, title. */
const COLUMNS: readonly Column<SetRow>[] = [
  { header: "engine", value: (row) => row.engine },
  { header: "set", value: (row) => row.set },
  { header: "schema", value: (row) => row.schema_version },
  { header: "state", value: (row) => row.state, style: (row) => (row.state === "applied" ? "green" : "dim") },
  { header: "applied", value: (row) => row.applied },
  { header: "what it holds", value: (row) => row.title },
];

/** The shipped sets, and which are applied where. */
export async function listSets({ app, call }: Context) {
  const degraded: Degraded[] = [];
  const configured = app.configured();
  const histories = new Map<string, HistoryRow[] | undefined>();
  for (const engine of configured) {
    try {
      const target = await app.migrations(app.targets[engine]!);
      if (target) histories.set(engine, await target.history(call));
    } catch (error) {
      degraded.push(toDegraded(engine, error));
    }
  }
  const sets = SHIPPED_SETS.filter(({ ofState }) => !ofState).map((shipped): SetRow => {
    const { engine, set, title, schemaVersion, latest } = shipped;
    const rows = histories.get(engine)?.filter((row) => row.set_name === set && row.state === "applied");
    const isConfigured = configured.includes(engine);
    const state = !isConfigured
      ? "not configured"
      : rows === undefined
        ? "unknown"
        : rows.some(({ seq }) => seq >= latest)
          ? "applied"
          : "pending";
    const applied = rows?.at(-1)?.version ?? null;
    return { engine, set, title, schema_version: schemaVersion, configured: isConfigured, state, applied };
  });
  const data: v.InferOutput<typeof setList> = { sets, degraded };
  return { data, render: (io: Context["io"]) => printTable(io, COLUMNS, sets), degraded };
}
