// What `opsctl migrate up` is measured against: the shortest program that runs the files of a folder, each in a transaction of its own.
// It keeps no history. CommonJS and no types: both would make its start slower, and the comparison easier.
const { readdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const pg = require("pg");

async function main(folder) {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  for (const name of readdirSync(folder).sort()) {
    await client.query(`BEGIN;\n${readFileSync(join(folder, name), "utf8")}\nCOMMIT`);
  }
  await client.end();
}

main(process.argv[2]);
