/** The way from a server to this program. */
import { connect, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { bounded } from "../../bounded.ts";
import type { Call } from "../../call.ts";
import type { Limits } from "../../config/targets.ts";
import { usageError } from "../../errors.ts";
import type { RedisConnection } from "./connect.ts";
import type { Endpoint } from "./endpoint.ts";
import { redisError } from "./errors.ts";
import { plainAddress } from "./restore-master.ts";

export interface WayTo {
  /** What the server is told. */
  host: string;
  /** 0: any. */
  port: number;
  /** Where this program listens. */
  bind: string;
  /** Where the server comes from; undefined: it is not known. */
  from: readonly string[] | undefined;
}

/** @throws OpsError `usage` for a place that is none; `unreachable` */
export async function wayTo(
  call: Call,
  endpoint: Endpoint,
  limits: Limits,
  connection: RedisConnection,
  listen: string | undefined,
): Promise<WayTo> {
  if (listen !== undefined) {
    const given = placeOf(listen);
    // forwarded, or by a name: it arrives at one of this host's addresses, from wherever the forwarding is done
    const all = isIP(given.host) === 6 ? "::" : "0.0.0.0";
    return { ...given, bind: isOwn(given.host) ? given.host : all, from: undefined };
  }
  const { local, remote } = await ends(call, endpoint, limits);
  const seen = await seenAs(call, connection);
  // a container that is reached by a port of this host sees it as its gateway
  if (seen !== undefined && seen !== local && isOwn(seen))
    return { host: seen, port: 0, bind: seen, from: undefined };
  return { host: local, port: 0, bind: local, from: [remote] };
}

/** `host`, `host:port`, `[address]:port` */
function placeOf(listen: string): { host: string; port: number } {
  if (isIP(listen)) return { host: listen, port: 0 };
  const [, bracketed, plain, port = "0"] = /^(?:\[(.+)\]|([^:\s]+))(?::(\d{1,5}))?$/.exec(listen) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535)
    throw usageError(`--listen: "${listen}" is no address`, "for example 10.0.0.5, or 10.0.0.5:7000");
  return { host, port: Number(port) };
}

/** Both ends of a connection to the server. */
async function ends(
  call: Call,
  { at, tls, options }: Endpoint,
  { connectMs }: Limits,
): Promise<{ local: string; remote: string }> {
  const socket = connect({ host: options.host!, port: options.port! });
  try {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once("connect", resolve);
    socket.on("error", reject);
    await bounded(promise, connectMs, call.signal);
    return {
      local: plainAddress(socket.localAddress ?? ""),
      remote: plainAddress(socket.remoteAddress ?? ""),
    };
  } catch (error) {
    throw redisError(error, { at, tls });
  } finally {
    socket.destroy();
  }
}

/** A note, when the server sees this host under an address that is not its own: it may not find the way back. */
export async function reachNotes(call: Call, connection: RedisConnection): Promise<string[]> {
  const seen = await seenAs(call, connection);
  if (seen === undefined || isOwn(seen)) return [];
  return [
    `the server sees this host as ${seen}, which is none of its addresses: name the one where it reaches this program with --listen`,
  ];
}

/** The address of this host as the server sees it; undefined: it does not say (before Redis 6.2). */
async function seenAs(call: Call, connection: RedisConnection): Promise<string | undefined> {
  const [reply] = await connection.batch(call, [["CLIENT", "INFO"]]);
  const seen =
    reply instanceof Buffer ? /(?:^| )addr=\[?(.*?)\]?:\d+ /.exec(reply.toString())?.[1] : undefined;
  return seen === undefined ? undefined : plainAddress(seen);
}

function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((all) => all!.some((own) => own.address === address));
}
