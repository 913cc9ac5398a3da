/** Connections to a server of a test's own, as engines get them. */
import { Redis } from "ioredis";
import { redactUrl } from "../../src/config/redact.ts";
import type { Limits, Target } from "../../src/config/targets.ts";
import { connectRedis, type RedisConnection } from "../../src/engines/redis/connect.ts";

export const LIMITS: Limits = { connectMs: 2_000, queryMs: 20_000, poolSize: 1 };

export function targetOf(url: string): Target {
  const database = new URL(url).pathname.slice(1);
  return { engine: "redis", url, database, shown: redactUrl(url), identity: "redis:test" };
}

/** An ACL user of the server that `admin` administers, without a password. Returns the URL for it. */
export async function userWith(
  admin: Redis,
  port: number,
  name: string,
  ...rules: string[]
): Promise<string> {
  await admin.call("ACL", "SETUSER", name, "reset", "on", ">pw", "~*", "&*", ...rules);
  return `redis://${name}:pw@127.0.0.1:${port}`;
}

/** Connections that are closed together. */
export class Opened {
  readonly #connections: RedisConnection[] = [];
  readonly #clients: Redis[] = [];

  connect(url: string): RedisConnection {
    const connection = connectRedis(targetOf(url), LIMITS);
    this.#connections.push(connection);
    return connection;
  }

  /** A plain driver, for what a test prepares and compares with. */
  client(url: string): Redis {
    const client = new Redis(url);
    client.on("error", () => {});
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.disconnect();
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }
}

/** The fields of all sections of INFO. */
export async function infoOf(client: Redis): Promise<Record<string, string>> {
  const lines = (await client.info()).split("\r\n").filter((line) => line.includes(":"));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
  );
}
