// What a run with nothing pending is measured against: the shortest program that connects and reads opsctl's history. CommonJS and no
// types: both would make its start slower, and the comparison easier.
const pg = require("pg");

async function main() {
  const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  const { rows } = await client.query("SELECT * FROM opsctl_migrations ORDER BY set_name, seq");
  await client.end();
  process.stdout.write(`${rows.length} applied\n`);
}

main();
