// Loads the NDJSON of `opsctl backup neo4j` into an empty Neo4j database, without opsctl:
//
//   npm install neo4j-driver
//   NEO4J_URI=bolt://localhost NEO4J_USERNAME=neo4j NEO4J_PASSWORD=… node load-graph.mjs neo4j/neo4j.ndjson
//
// A line is one object: "header", "constraint" and "index" (with the statement that makes it), "node", "relationship", and "footer" with their
// numbers. Values are JSON where JSON has the type, else an object of one field that says it: {"date": [days since 1970-01-01]}.
// One line is one statement: made to be read and to be right, not to be quick.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
// biome-ignore lint/style/noRestrictedImports: it stands for itself
import neo4j from "neo4j-driver";

const BATCH = 1_000;
// biome-ignore lint/style/noProcessEnv: it stands for itself
const { NEO4J_URI, NEO4J_USERNAME, NEO4J_PASSWORD, NEO4J_DATABASE = "neo4j" } = process.env;

/** A number without fraction and exponent is an integer, which a JavaScript number would not say. */
const parse = (line) =>
  JSON.parse(line, (_, value, { source }) =>
    typeof value === "number" && !/[.e]/i.test(source) ? BigInt(source) : value,
  );

/** In names and statements Neo4j evaluates \uXXXX: a backslash is written as one. */
const safe = (text) => text.replaceAll("\\", "\\u005C");
const quoted = (name) => `\`${safe(name).replaceAll("`", "``")}\``;

/** Types that the driver sends as they are. */
const PLAIN = {
  int: (text) => BigInt(text),
  float: (text) => Number(text),
  bytes: (text) => Int8Array.from(Buffer.from(text, "base64")),
};

/** Types whose value Cypher makes of the numbers in the list `v`. */
const TYPED = {
  date: (v) => `date('1970-01-01') + duration({days: ${v}[0]})`,
  localtime: (v) => `localtime('00:00') + duration({nanoseconds: ${v}[0]})`,
  time: (v) => `time({time: localtime('00:00') + duration({nanoseconds: ${v}[0]}), timezone: ${v}[1]})`,
  localdatetime: (v) =>
    `localdatetime('1970-01-01T00:00') + duration({seconds: ${v}[0], nanoseconds: ${v}[1]})`,
  datetime: (v) =>
    `datetime({datetime: datetime('1970-01-01T00:00Z') + duration({seconds: ${v}[0], nanoseconds: ${v}[1]}), timezone: ${v}[2]})`,
  duration: (v) => `duration({months: ${v}[0], days: ${v}[1], seconds: ${v}[2], nanoseconds: ${v}[3]})`,
  point: (v, { length }) =>
    `point({srid: ${v}[0], x: ${v}[1], y: ${v}[2]${length > 3 ? `, z: ${v}[3]` : ""}})`,
};
/** Where a list has an offset in seconds, which Cypher wants as text; a zone's name is text already. */
const ZONE_AT = { time: 1, datetime: 2 };

const kindOf = (value) => (typeof value === "object" && !Array.isArray(value) ? Object.keys(value)[0] : "");

function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  const kind = kindOf(value);
  return kind ? PLAIN[kind](value[kind]) : value;
}

function numbers(value) {
  const kind = kindOf(value);
  return value[kind].map((item, index) =>
    index === ZONE_AT[kind] && typeof item === "bigint" ? offset(Number(item)) : plain(item),
  );
}

function offset(seconds) {
  const amount = Math.abs(seconds);
  const units = [amount / 3_600, (amount / 60) % 60, amount % 60].map(Math.trunc);
  return `${seconds < 0 ? "-" : "+"}${units.map((unit) => String(unit).padStart(2, "0")).join(":")}`;
}

/** What gives `x` its properties: the end of a statement, and parameters. */
function assignment(properties) {
  const all = { plain: [], typed: [] };
  const set = ["SET x = $plain"];
  for (const [name, value] of Object.entries(properties)) {
    const one = Array.isArray(value) ? value[0] : value;
    const kind = one === undefined ? "" : kindOf(one);
    if (!(kind in TYPED)) {
      all.plain.push([name, plain(value)]);
      continue;
    }
    all.typed.push([name, Array.isArray(value) ? value.map(numbers) : numbers(value)]);
    const from = `$typed.${quoted(name)}`;
    const made = Array.isArray(value)
      ? `[v IN ${from} | ${TYPED[kind]("v", one[kind])}]`
      : TYPED[kind](from, one[kind]);
    set.push(`x.${quoted(name)} = ${made}`);
  }
  const parameters = { plain: Object.fromEntries(all.plain), typed: Object.fromEntries(all.typed) };
  return [`${set.join(", ")} RETURN elementId(x)`, parameters];
}

const driver = neo4j.driver(NEO4J_URI, neo4j.auth.basic(NEO4J_USERNAME, NEO4J_PASSWORD));
const session = driver.session({ database: NEO4J_DATABASE });
/** Of nodes: id in the file to id in the database. */
const ids = new Map();
const count = { node: 0, relationship: 0 };
let batch = [];
let last = {};

async function flush() {
  const results = await session.executeWrite((tx) =>
    Promise.all(batch.map(({ query, parameters }) => tx.run(query, parameters))),
  );
  for (const [index, { id }] of batch.entries())
    if (id !== undefined) ids.set(id, results[index].records[0].get(0));
  batch = [];
}

function add(line) {
  const [end, parameters] = assignment(line.properties);
  count[line.type] += 1;
  if (line.type === "node") {
    const labels = line.labels.map((label) => `:${quoted(label)}`).join("");
    batch.push({ id: line.id, query: `CREATE (x${labels}) ${end}`, parameters });
    return;
  }
  const ends = { a: ids.get(line.start), b: ids.get(line.end) };
  const query = `MATCH (a), (b) WHERE elementId(a) = $a AND elementId(b) = $b
    CREATE (a)-[x:${quoted(line.reltype)}]->(b) ${end}`;
  batch.push({ query, parameters: { ...parameters, ...ends } });
}

for await (const text of createInterface({ input: createReadStream(process.argv[2]) })) {
  const line = parse(text);
  if (line.type !== last.type || batch.length === BATCH) await flush();
  if (line.type in count) add(line);
  if (line.type === "constraint" || line.type === "index") await session.run(safe(line.statement));
  last = line;
}
await session.run("CALL db.awaitIndexes()");
await driver.close();
const isWhole = last.nodes === BigInt(count.node) && last.relationships === BigInt(count.relationship);
if (!isWhole) throw new Error("the file is not whole");
