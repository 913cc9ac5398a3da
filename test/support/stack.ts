/** The three real servers behind proxies that can be cut, for tests of what happens when one of them is away. */

import type { Sandbox } from "./cli.ts";
import { type OpenNeo4j, openNeo4j } from "./neo4j.ts";
import { startProxy, type TestProxy } from "./proxy.ts";
import { type OwnRedis, ownRedis, postgresDatabase, type TestDatabase } from "./servers.ts";

export interface Stack {
  neo4j: OpenNeo4j & { proxy: TestProxy };
  postgres: TestDatabase & { proxy: TestProxy };
  redis: OwnRedis & { proxy: TestProxy };
  /** Environment of a command that uses all three, through their proxies. */
  env: Record<string, string>;
  stop(): Promise<void>;
}

/**
 * Starts an empty stack and initialises it with `opsctl init all`.
 * @param database where PostgreSQL is; a fresh database of the test run's server, which has no fsync, unless it is said
 */
export async function startStack(sandbox: Sandbox, database = postgresDatabase): Promise<Stack> {
  const neo4j = openNeo4j();
  await neo4j.wipe();
  const [postgres, redis] = await Promise.all([database(), ownRedis()]);
  const behind = async (url: string) => {
    const { hostname, port } = new URL(url);
    return startProxy({ target: { host: hostname, port: Number(port) } });
  };
  const [neo4jProxy, postgresProxy, redisProxy] = await Promise.all(
    [neo4j.uri, postgres.url, redis.url].map(behind),
  );
  const env = {
    NEO4J_URI: through(neo4j.uri, neo4jProxy!),
    NEO4J_USERNAME: neo4j.username,
    NEO4J_PASSWORD: neo4j.password,
    DATABASE_URL: through(postgres.url, postgresProxy!),
    REDIS_URL: through(redis.url, redisProxy!),
  };
  await sandbox.ok(["init", "all"], { env });
  return {
    neo4j: { ...neo4j, proxy: neo4jProxy! },
    postgres: { ...postgres, proxy: postgresProxy! },
    redis: { ...redis, proxy: redisProxy! },
    env,
    async stop() {
      await Promise.all([neo4jProxy!.close(), postgresProxy!.close(), redisProxy!.close()]);
      await neo4j.wipe();
      await neo4j.connection.close();
      await Promise.all([postgres.drop(), redis.stop()]);
    },
  };
}

function through(url: string, proxy: TestProxy): string {
  const changed = new URL(url);
  changed.port = String(proxy.port);
  return changed.href;
}
