/** Where a server is by its URL, and who listens on this host by its own tables. */
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { Target } from "../../config/targets.ts";
import type { EngineName } from "../../errors.ts";

export interface Address {
  host: string;
  port: number;
  /** Path of a Unix socket instead of both. */
  socket: string | null;
  /** The URL asks for TLS. */
  tls: boolean;
  /** `host:port`, as in a URL. */
  shown: string;
}

const PORTS: Readonly<Record<EngineName, number>> = { neo4j: 7687, postgres: 5432, redis: 6379, sqlite: 0 };

/** The first address of a target; SQLite's is a file and has none. */
export function addressOf({ engine, url }: Target): Address | null {
  if (engine === "sqlite") return null;
  const { hostname, port: given, protocol, searchParams } = new URL(url);
  const port = Number(given) || PORTS[engine];
  const named = engine === "postgres" ? searchParams.get("host") : null;
  const host = (named ?? hostname).replace(/^\[|\]$/g, "");
  const sslmode = searchParams.get("sslmode");
  return {
    host,
    port,
    socket: host.startsWith("/") ? join(host, `.s.PGSQL.${port}`) : null,
    tls: protocol === "rediss:" || protocol.includes("+") || (sslmode !== null && sslmode !== "disable"),
    shown: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
  };
}

/** Whether an IP address is one of this host. */
export function isOwn(ip: string): boolean {
  if (isLoopback(ip)) return true;
  return Object.values(networkInterfaces()).some((some) => some?.some(({ address }) => address === ip));
}

export function isLoopback(ip: string): boolean {
  return ip === "::1" || /^(::ffff:)?127\./.test(ip);
}

/**
 * The addresses on which something of this host listens at a port, by /proc/net/tcp and tcp6 (proc(5)).
 * @returns undefined where those cannot be read
 */
export async function listenersAt(root: string, port: number): Promise<string[] | undefined> {
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(join(root, "proc/net", name), "utf8").catch(() => undefined)),
  );
  if (tables.every((table) => table === undefined)) return undefined;
  const found = tables.flatMap((table) => (table ?? "").split("\n").slice(1).flatMap(listenerOf));
  return [...new Set(found.filter((one) => one.port === port).map(({ ip }) => ip))];
}

/** State of a socket that listens, in hexadecimal (include/net/tcp_states.h). */
const LISTEN = "0A";

function listenerOf(line: string): { ip: string; port: number }[] {
  const [, local = "", , state] = line.trim().split(/\s+/);
  const [ip = "", port = ""] = local.split(":");
  if (state !== LISTEN) return [];
  return [{ ip: ip.length === 8 ? ipv4(ip) : ipv6(ip), port: Number.parseInt(port, 16) }];
}

/** Four bytes, the last one first. */
function ipv4(hex: string): string {
  return [...Buffer.from(hex, "hex").reverse()].join(".");
}

/** Four words, the bytes of each the last one first. */
function ipv6(hex: string): string {
  const bytes = Buffer.from(hex, "hex").swap32();
  const words = Array.from({ length: 8 }, (_, at) => bytes.readUInt16BE(2 * at).toString(16));
  const isMapped = words.slice(0, 6).join(":") === "0:0:0:0:0:ffff";
  if (isMapped) return [...bytes.subarray(12)].join(".");
  // as others write it
  return new URL(`http://[${words.join(":")}]`).hostname.slice(1, -1);
}

/** Whether a server that listens on `listener` is reached at `ip`. */
export function accepts(listener: string, ip: string): boolean {
  if (listener === "::") return true;
  if (listener === "0.0.0.0") return isIP(ip) === 4;
  return listener === ip;
}
