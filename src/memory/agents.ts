import type { Call } from "../call.ts";
import { OpsError } from "../errors.ts";
import type { Agent } from "./model.ts";
import { maskText } from "./secrets.ts";
import type { Stores, Written } from "./stores.ts";

/**
 * Names without secrets, as `remember` stores those of its events: an agent and its events go by one name.
 * @returns the names in the order given, and an entry for each secret
 */
export function maskNames(given: readonly string[]): {
  names: string[];
  masked: { kind: string; count: number }[];
} {
  const masked: { kind: string; count: number }[] = [];
  const names = given.map((name) => maskText(name, (kind) => masked.push({ kind, count: 1 })));
  return { names, masked };
}

/** What an agent's own report did. `known` is the agent as it was; null when no store could say. */
export interface Heartbeat {
  name: string;
  at: number;
  known: Agent | null;
  written: Written;
}

/**
 * Moves an agent's last_seen to now.
 * @throws OpsError `not_found` for an agent that nobody registered; while a store is missing nobody can say so, and the heartbeat is queued
 */
export async function heartbeat(call: Call, stores: Stores, name: string): Promise<Heartbeat> {
  const { value, degraded } = await stores.read(call, (store) => store.agents(call));
  const known = value.find((agent) => agent.name === name) ?? null;
  if (!known && degraded.length === 0) {
    throw new OpsError({
      code: "not_found",
      message: `there is no agent "${name}"`,
      hint: `opsctl register-agent ${name} --server HOST`,
    });
  }
  const at = Date.now();
  const written = await stores.write(call, [{ kind: "agent", name, server: null, status: null, at }]);
  return { name, at, known, written };
}
