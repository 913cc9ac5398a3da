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

/**
 * Turns a target into the driver's settings, every one explicit: what is left open, the driver takes from PG…
 * variables. `sockets` receives each socket that the driver opens, so that closing never depends on a
 * server's answer.
 * @throws OpsError `usage` for an unknown sslmode or a certificate file that cannot be read
 */
export function parseTarget(target: Target, limits: Limits, sockets: Set<Socket>): ParsedTarget {
  const url = new URL(target.url);
  const host = url.searchParams.get("host") ?? (decodeURIComponent(url.hostname) || "localhost");
  const port = Number(url.port || 5432);
  const user = target.username ?? decodeURIComponent(url.username);
  const password = target.password ?? decodeURIComponent(url.password);
  const database = target.database ?? decodeURIComponent(url.pathname.slice(1));
  const isPath = host.startsWith("/");
  const statementMs = Math.ceil(limits.queryMs - Math.min(250, limits.queryMs / 10));
  return {
    where: { address: isPath ? `${host}/.s.PGSQL.${port}` : `${host}:${port}`, database, user },
    config: {
      host: host.replace(/^\[(.*)\]$/, "$1"),
      port,
      user,
      // a function: an empty string would send the driver to PGPASSWORD
      password: () => password,
      database,
      ssl: isPath ? false : tlsOptions(url.searchParams),
      options: url.searchParams.get("options") ?? undefined,
      application_name: "opsctl",
      max: limits.poolSize,
      connectionTimeoutMillis: limits.connectMs,
      // the server gives up first, so that its reason arrives; lock_timeout first of all, so that a lock is
      // called a lock
      statement_timeout: statementMs,
      lock_timeout: Math.ceil(statementMs * 0.8),
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      types,
      stream: () => trackedSocket(sockets),
    },
  };
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
