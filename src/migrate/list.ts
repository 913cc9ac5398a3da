import type { Call } from "../call.ts";
import { type Degraded, type EngineName, toDegraded } from "../errors.ts";
import type { InitTarget } from "./init.ts";
import type { HistoryRow } from "./port.ts";
import { type ShippedSet, setsOf } from "./sets.ts";

export interface ListedSet {
  shipped: ShippedSet;
  configured: boolean;
  /** `unknown`: the server could not be asked. */
  state: "applied" | "pending" | "unknown" | "not configured";
  /** The last version that is applied. */
  applied: string | null;
}

const ENGINES: readonly EngineName[] = ["neo4j", "postgres", "redis", "sqlite"];

/** The shipped sets, and which of them are applied on the configured targets. */
export async function listSets(
  call: Call,
  targets: readonly InitTarget[],
): Promise<{ sets: ListedSet[]; degraded: Degraded[] }> {
  const degraded: Degraded[] = [];
  const histories = new Map<EngineName, HistoryRow[] | undefined>();
  for (const { engine, migrations } of targets) {
    try {
      histories.set(engine, await (await migrations())?.history(call));
    } catch (error) {
      histories.set(engine, undefined);
      degraded.push(toDegraded(engine, error));
    }
  }
  const sets = ENGINES.flatMap(setsOf).map((shipped) => {
    const configured = histories.has(shipped.engine);
    const rows = histories
      .get(shipped.engine)
      ?.filter((row) => row.set_name === shipped.set && row.state === "applied");
    const state = configured ? stateOf(shipped, rows) : "not configured";
    return { shipped, configured, state, applied: rows?.at(-1)?.version ?? null };
  });
  return { sets, degraded };
}

function stateOf({ latest }: ShippedSet, rows: readonly HistoryRow[] | undefined): ListedSet["state"] {
  if (rows === undefined) return "unknown";
  return rows.some(({ seq }) => seq >= latest) ? "applied" : "pending";
}
