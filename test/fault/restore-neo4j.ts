/** The graph that the fault tests of `restore` bring back. It has the one database of the test run: files that use it are named *neo4j*. */
import { createHash } from "node:crypto";
import neo4j from "neo4j-driver";
import { neo4jServer } from "../support/servers.ts";
import type { Store } from "./restore-stores.ts";

const FILL = [
  "CREATE CONSTRAINT part_key FOR (p:Part) REQUIRE p.n IS UNIQUE",
  "CREATE INDEX part_made FOR (p:Part) ON (p.made)",
];

/** A graph of so many nodes and twice as many relationships, with a constraint and an index. */
export async function neo4jStore(nodes: number): Promise<Store> {
  const server = neo4jServer();
  const { uri, username, password } = server;
  await server.wipe();
  const driver = neo4j.driver(uri, neo4j.auth.basic(username, password), { disableLosslessIntegers: true });
  const column = async (query: string, parameters = {}): Promise<string[]> => {
    const session = driver.session({ database: "neo4j" });
    try {
      const { records } = await session.run(query, parameters);
      return records.map((record) => JSON.stringify(record.toObject()));
    } finally {
      await session.close();
    }
  };
  const fill = async () => {
    for (const statement of FILL) await column(statement);
    await column(
      `UNWIND range(1, $nodes) AS n
       CREATE (:Part:Stock {n: n, weight: n / 7.0, made: date('2026-01-01') + duration({days: n}), text: 'part ' + n})`,
      { nodes: neo4j.int(nodes) },
    );
    await column(
      `MATCH (a:Part), (b:Part) WHERE b.n = a.n % $nodes + 1
       CREATE (a)-[:NEXT {at: a.n}]->(b), (a)-[:NEXT {at: -a.n}]->(b)`,
      { nodes: neo4j.int(nodes) },
    );
  };
  await fill();
  return {
    engine: "neo4j",
    env: { NEO4J_URI: uri, NEO4J_USERNAME: username, NEO4J_PASSWORD: password },
    digest: async () => {
      const found = [
        await column(
          "MATCH (n) RETURN labels(n) AS labels, properties(n) AS it ORDER BY labels, n.n, toString(n.text)",
        ),
        await column(
          "MATCH (a)-[r]->(b) RETURN a.n AS a, b.n AS b, type(r) AS type, r.at AS at ORDER BY a, b, at",
        ),
        await column("SHOW CONSTRAINTS YIELD name, type RETURN name, type ORDER BY name"),
        await column(
          "SHOW INDEXES YIELD name, type, state WHERE type <> 'LOOKUP' RETURN name, type, state ORDER BY name",
        ),
      ];
      return createHash("sha256").update(JSON.stringify(found)).digest("hex");
    },
    async change() {
      await column("MATCH (p:Part) WHERE p.n % 3 = 0 SET p.text = 'changed'");
      await column("MATCH (p:Part) WHERE p.n % 11 = 0 DETACH DELETE p");
      await column("CREATE (:Later {n: 0, text: 'later'})");
      await column("DROP INDEX part_made");
    },
    leftovers: async () => [],
    async drop() {
      await driver.close();
      await server.wipe();
    },
  };
}
