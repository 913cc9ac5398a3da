import { isIP } from "node:net";
import type { RedisOptions } from "ioredis";
import type { Target } from "../../config/targets.ts";
import { usageError } from "../../errors.ts";

/** What opening a connection takes, out of a target. */
export interface Endpoint {
  /** `host:port`, for messages. */
  at: string;
  tls: boolean;
  /** AUTH arguments; none: no password is configured. */
  credentials: string[];
  database: number;
  options: RedisOptions;
}

/** @throws OpsError `usage`: a database that is no number */
export function endpointOf(target: Target, connectMs: number): Endpoint {
  const url = new URL(target.url);
  const tls = url.protocol === "rediss:";
  const host = url.hostname.replace(/^\[|\]$/g, "") || "127.0.0.1";
  const port = Number(url.port || 6379);
  const username = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  return {
    at: `${url.hostname}:${port}`,
    tls,
    credentials: username !== "" ? [username, password] : password !== "" ? [password] : [],
    database: databaseNumber(target.database ?? ""),
    options: {
      host,
      port,
      // verified against the system's authorities and NODE_EXTRA_CA_CERTS; server names must not be addresses
      tls: tls ? { servername: isIP(host) ? "" : host } : undefined,
      connectTimeout: connectMs,
      protocol: 2,
      lazyConnect: true,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      disableClientInfo: true,
      autoResendUnfulfilledCommands: false,
      retryStrategy: null,
      maxRetriesPerRequest: 0,
    },
  };
}

function databaseNumber(text: string): number {
  if (text === "") return 0;
  if (!/^\d{1,5}$/.test(text)) {
    throw usageError("REDIS_URL names no database number after the port", "for example redis://host:6379/0");
  }
  return Number(text);
}
