/**
 * What `opsctl backup neo4j` is measured against: the program that one writes when Neo4j has to be exported over Bolt today. It streams both
 * kinds of records with back-pressure and writes each as JSON. It proves nothing: no types, no schema, no consistency, no digest.
 *
 *   NEO4J_URI=… NEO4J_USERNAME=… NEO4J_PASSWORD=… node scripts/bench/backup-bare-export.ts FILE
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import neo4j from "neo4j-driver";

const { NEO4J_URI = "", NEO4J_USERNAME = "", NEO4J_PASSWORD = "" } = process.env;
const driver = neo4j.driver(NEO4J_URI, neo4j.auth.basic(NEO4J_USERNAME, NEO4J_PASSWORD));
const session = driver.session({ database: "neo4j", defaultAccessMode: "READ" });
const output = createWriteStream(process.argv[2]!);
for (const query of ["MATCH (n) RETURN n", "MATCH ()-[r]->() RETURN r"]) {
  for await (const record of session.run(query)) {
    if (!output.write(`${JSON.stringify(record.toObject())}\n`)) await once(output, "drain");
  }
}
output.end();
await once(output, "finish");
await session.close();
await driver.close();
