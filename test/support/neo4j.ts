/** A connection of ours to the Neo4j of the test run. */
import type { Limits, Target } from "../../src/config/targets.ts";
import { connectNeo4j, type Neo4jConnection } from "../../src/engines/neo4j/connect.ts";
import { testCall } from "./calls.ts";
import { neo4jServer, type TestNeo4j } from "./servers.ts";

export const LIMITS: Limits = { connectMs: 2_000, queryMs: 30_000, poolSize: 10 };

export interface OpenNeo4j extends TestNeo4j {
  connection: Neo4jConnection;
}

export function neo4jTarget(changes: Partial<Target> = {}): Target {
  const { uri, username, password } = neo4jServer();
  const shown = uri;
  return {
    engine: "neo4j",
    url: uri,
    username,
    password,
    database: "neo4j",
    shown,
    identity: shown,
    ...changes,
  };
}

export function openNeo4j(changes: Partial<Target> = {}, limits: Partial<Limits> = {}): OpenNeo4j {
  return { ...neo4jServer(), connection: connectNeo4j(neo4jTarget(changes), { ...LIMITS, ...limits }) };
}

/** Deletes what the memory holds; schema, history and the statistics node stay. */
export async function clearMemory(connection: Neo4jConnection): Promise<void> {
  const kept = "n:Stat OR n:opsctl_migrations OR n:opsctl_lock";
  const removal = `MATCH (n) WHERE NOT (${kept}) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS`;
  await connection.command(testCall(), removal);
  await connection.command(
    testCall(),
    "MATCH (s:Stat) SET s.documents = 0, s.title_length = 0, s.body_length = 0",
  );
}
