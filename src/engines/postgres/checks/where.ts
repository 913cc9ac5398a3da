/** Where the server is, seen from here. */
import type { Call } from "../../../call.ts";
import { addressOf } from "../config.ts";
import { ask, type PostgresScope } from "./kit.ts";

/** The target is reached through the loopback device or a socket. */
export function isLoopback({ target }: PostgresScope): boolean {
  const { host } = addressOf(target);
  return host.startsWith("/") || host === "localhost" || host === "::1" || host.startsWith("127.");
}

/**
 * `here`: the server runs on this host. `forwarded`: reached through loopback, but its own end of the connection has another address: a
 * container whose port is published here, or a tunnel. `elsewhere`: by the network.
 */
export async function placeOf(call: Call, scope: PostgresScope): Promise<"here" | "forwarded" | "elsewhere"> {
  if (!isLoopback(scope)) return "elsewhere";
  const [row] = await ask<{ local: boolean | null }>(
    call,
    scope,
    "SELECT inet_server_addr() <<= '127.0.0.0/8'::inet OR inet_server_addr() = '::1'::inet AS local",
  );
  // null: a socket
  return row!.local === false ? "forwarded" : "here";
}
