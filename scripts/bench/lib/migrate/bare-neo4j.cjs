// What `opsctl migrate up neo4j` is measured against: the shortest program that runs the files of a folder, each statement in a
// transaction of its own. It keeps no history. CommonJS and no types: both would make its start slower, and the comparison easier.
const { readdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const neo4j = require("neo4j-driver");

async function main(folder) {
  const { NEO4J_URI, NEO4J_USERNAME, NEO4J_PASSWORD } = process.env;
  const driver = neo4j.driver(NEO4J_URI, neo4j.auth.basic(NEO4J_USERNAME, NEO4J_PASSWORD));
  const session = driver.session({ database: "neo4j" });
  for (const name of readdirSync(folder).sort()) {
    // the generated files have no other `;` at the end of a line
    for (const statement of readFileSync(join(folder, name), "utf8").split(";\n")) {
      if (statement.trim() !== "") await session.run(statement);
    }
  }
  await session.close();
  await driver.close();
}

main(process.argv[2]);
