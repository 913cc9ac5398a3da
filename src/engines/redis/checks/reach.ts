/** From where a server can be reached, as far as its own settings tell. */
import type { Call } from "../../../call.ts";
import { isLoopback } from "../../../health/doctor/address.ts";
import { Unknowable } from "../../../health/doctor/check.ts";
import { isLocal } from "../../../health/doctor/places.ts";
import type { Info } from "../info.ts";
import { type Scope, settingsOf } from "./facts.ts";

export interface Reach {
  /** As CONFIG GET says it; empty or `*`: all addresses; `unknown`: it does not say. */
  bind: string;
  protectedMode: boolean;
  /** It listens on other addresses than the loopback ones. */
  isOpen: boolean;
  /** It is the first process of a container: what reaches it is decided outside. */
  isContained: boolean;
}

/** Where the server hides its settings: whoever comes to it from another host has proved that it can be reached. */
export async function reachOf(call: Call, scope: Scope, info: Info): Promise<Reach> {
  const isContained = info["process_id"] === "1";
  const values = await settingsOf(call, scope, "bind", "protected-mode").catch((error: unknown) => {
    if (error instanceof Unknowable) return undefined;
    throw error;
  });
  if (values === undefined) {
    return { bind: "unknown", protectedMode: false, isOpen: !isLocal(scope.target), isContained };
  }
  const [bind = "", mode] = values;
  const addresses = bind.split(" ").map((address) => address.replace(/^-/, ""));
  return {
    bind,
    protectedMode: mode === "yes",
    isOpen: !addresses.every((address) => isLoopback(address) || address === "localhost"),
    isContained,
  };
}
