import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import type { ConnectionOptions } from "node:tls";
import pg, { type PoolConfig } from "pg";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError, usageError } from "../../errors.ts";

/** Where a connection goes, for messages. Holds no secret. */
export interface Where {
  /** `host:port`, or the socket's path. */
  address: string;
  database: string;
  user: string;
}

export interface ParsedTarget {
  where: Where;
  config: PoolConfig;
}

/** pg asks these as strings by default; no count or time of ours reaches 2^53. */
const types: PoolConfig["types"] = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format as "text")) as never,
};

/** A target's parts. Holds the password. */
export interface Address {
  /** Name, IP address or folder of the socket. */
  host: string;
  port: number;
  user: string;
  password: string;
  database: string;
  parameters: URLSearchParams;
}

export function addressOf(target: Target): Address {
  const url = new URL(target.url);
  const host = url.searchParams.get("host") ?? (decodeURIComponent(url.hostname) || "localhost");
  return {
    host: host.replace(/^\[(.*)\]$/, "$1"),
    port: Number(url.port || 5432),
    user: target.username ?? decodeURIComponent(url.username),
    password: target.password ?? decodeURIComponent(url.password),
    database: target.database ?? decodeURIComponent(url.pathname.slice(1)),
    parameters: url.searchParams,
  };
}

/**
 * Turns a target into the driver's settings, every one explicit: what is left open, the driver takes from PG…
 * variables. `sockets` receives each socket that the driver opens, so that closing never depends on a
 * server's answer. `isBare` leaves limits on statements out of the greeting: poolers refuse it with them.
 * @throws OpsError `usage` for an unknown sslmode or a certificate file that cannot be read
 */
export function parseTarget(
  target: Target,
  limits: Limits,
  sockets: Set<Socket>,
  isBare: boolean,
): ParsedTarget {
  const { host, port, user, password, database, parameters } = addressOf(target);
  const isPath = host.startsWith("/");
  const address = isPath ? `${host}/.s.PGSQL.${port}` : `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return {
    where: { address, database, user },
    config: {
      host,
      port,
      user,
      // a function: an empty string would send the driver to PGPASSWORD
      password: () => password,
      database,
      ssl: isPath ? false : tlsOptions(parameters),
      options: parameters.get("options") ?? undefined,
      application_name: "opsctl",
      max: limits.poolSize,
      connectionTimeoutMillis: limits.connectMs,
      ...(isBare ? {} : statementLimits(limits)),
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      types,
      stream: () => trackedSocket(sockets),
    },
  };
}

/** The server gives up first, so that its reason arrives; lock_timeout first of all, so that a lock is called a lock. */
function statementLimits({ queryMs }: Limits): Pick<PoolConfig, "statement_timeout" | "lock_timeout"> {
  const statementMs = Math.ceil(queryMs - Math.min(250, queryMs / 10));
  return { statement_timeout: statementMs, lock_timeout: Math.ceil(statementMs * 0.8) };
}

function trackedSocket(sockets: Set<Socket>): Socket {
  const socket = new Socket();
  sockets.add(socket);
  return socket.once("close", () => sockets.delete(socket));
}

/**
 * TLS of the `sslmode` in the URL, never weaker than libpq's meaning of it: `require` and `prefer` verify
 * like `verify-full`, as pg 8 does and pg 9 no longer will (node-postgres #3473).
 */
function tlsOptions(parameters: URLSearchParams): false | ConnectionOptions {
  const mode = parameters.get("sslmode") ?? "disable";
  if (mode === "disable" || mode === "allow") return false;
  if (!["prefer", "require", "verify-ca", "verify-full", "no-verify"].includes(mode)) {
    throw usageError(
      `DATABASE_URL: sslmode "${mode}" is unknown`,
      "use sslmode=verify-full, or sslmode=disable on a network you trust",
    );
  }
  const options: ConnectionOptions = { rejectUnauthorized: mode !== "no-verify" };
  // libpq's verify-ca: any name, as long as the authority signed it
  if (mode === "verify-ca") options.checkServerIdentity = () => undefined;
  const authority = parameters.get("sslrootcert");
  if (authority !== null && authority !== "system") options.ca = certificate("sslrootcert", authority);
  const [cert, key] = [parameters.get("sslcert"), parameters.get("sslkey")];
  if (cert !== null) options.cert = certificate("sslcert", cert);
  if (key !== null) options.key = certificate("sslkey", key);
  return options;
}

function certificate(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new OpsError({
      code: "usage",
      engine: "postgres",
      message: `DATABASE_URL: ${name} ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`,
      hint: "name a PEM file that this user may read",
    });
  }
}
