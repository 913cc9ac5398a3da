import type { Call } from "../call.ts";
import { type Degraded, type EngineName, toDegraded } from "../errors.ts";
import type { InitTarget } from "./init.ts";
import type { HistoryRow } from "./port.ts";
import { DATA_SETS, type ShippedSet } from "./sets.ts";

export interface ListedSet {
  shipped: ShippedSet;
  configured: boolean;
  /** `partly`: files of it are missing, or one was broken off in the middle; `unknown`: the server could not be asked. */
  state: "applied" | "partly" | "pending" | "unknown" | "not configured";
  /** The last version that is applied. */
  applied: string | null;
}

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
  const sets = DATA_SETS.map((shipped) => {
    const configured = histories.has(shipped.engine);
    const rows = histories.get(shipped.engine)?.filter(({ set_name }) => set_name === shipped.set);
    const applied = rows?.findLast(({ state }) => state === "applied")?.version ?? null;
    return { shipped, configured, state: configured ? stateOf(shipped, rows) : "not configured", applied };
  });
  return { sets, degraded };
}

function stateOf({ latest }: ShippedSet, rows: readonly HistoryRow[] | undefined): ListedSet["state"] {
  if (rows === undefined) return "unknown";
  const left = rows.filter(({ state }) => state !== "reverted");
  if (left.length === 0) return "pending";
  const isWhole = left.every(({ state }) => state === "applied") && left.length >= latest;
  return isWhole ? "applied" : "partly";
}
