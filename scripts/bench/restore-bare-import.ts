/**
 * What restoring a graph is measured against: the program that one writes when JSON lines have to get into an empty Neo4j over Bolt today. It
 * reads a file of the export, makes the driver's values, and creates them in batches of 5,000 rows. It checks nothing, and makes no schema.
 *
 *   NEO4J_URI=… NEO4J_USERNAME=… NEO4J_PASSWORD=… node scripts/bench/restore-bare-import.ts FILE
 */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import neo4j from "neo4j-driver";

const ROWS_A_BATCH = 5_000;

type Json = string | number | boolean | Json[] | { [type: string]: string | number | (number | string)[] };
interface Line {
  type: string;
  id: number;
  labels: string[];
  start: number;
  end: number;
  reltype: string;
  properties: Record<string, Json>;
}
interface Row {
  id: number;
  start: number;
  end: number;
  properties: Record<string, unknown>;
}

const { NEO4J_URI = "", NEO4J_USERNAME = "", NEO4J_PASSWORD = "" } = process.env;
const driver = neo4j.driver(NEO4J_URI, neo4j.auth.basic(NEO4J_USERNAME, NEO4J_PASSWORD));
const session = driver.session({ database: "neo4j" });
/** Ids of the file → element ids of the database. */
const elementIds = new Map<number, string>();
const batches = new Map<string, Row[]>();

const { types, int } = neo4j;
const NANO = 1_000_000_000;

/** The driver's value of what the format says; that numbers lost their type is the price of JSON.parse. */
function driverValue(json: Json): unknown {
  if (typeof json === "number") return Number.isInteger(json) ? int(json) : json;
  if (typeof json !== "object") return json;
  if (Array.isArray(json)) return json.map(driverValue);
  const [type, content] = Object.entries(json)[0]!;
  const parts = content as number[];
  switch (type) {
    case "int":
      return int(content as string);
    case "float":
      return Number(content);
    case "bytes":
      return new Int8Array(Buffer.from(content as string, "base64"));
    case "date":
      return types.Date.fromStandardDate(new Date(parts[0]! * 86_400_000));
    case "localtime":
      return localTime(types.LocalTime, parts[0]!);
    case "time":
      return localTime(types.Time, parts[0]!, parts[1]!);
    case "localdatetime":
      return dateTime(types.LocalDateTime, parts[0]!, parts[1]!);
    case "datetime": {
      const zone = parts[2] as number | string;
      return typeof zone === "number"
        ? dateTime(types.DateTime, parts[0]! + zone, parts[1]!, zone)
        : dateTime(types.DateTime, parts[0]!, parts[1]!, undefined, zone);
    }
    case "duration":
      return new types.Duration(parts[0]!, parts[1]!, parts[2]!, parts[3]!);
    default:
      return new types.Point(int(parts[0]!), parts[1]!, parts[2]!, parts[3]);
  }
}

function localTime<T>(
  Type: new (h: number, m: number, s: number, n: number, o: number) => T,
  nanoseconds: number,
  offset = 0,
): T {
  const seconds = Math.floor(nanoseconds / NANO);
  return new Type(
    Math.floor(seconds / 3_600),
    Math.floor(seconds / 60) % 60,
    seconds % 60,
    nanoseconds % NANO,
    offset,
  );
}

function dateTime<T>(
  // biome-ignore lint/suspicious/noExplicitAny: constructors of two classes with different lists of parts
  Type: new (...parts: any[]) => T,
  seconds: number,
  nanoseconds: number,
  offset?: number,
  zone?: string,
): T {
  const date = new Date(seconds * 1_000);
  const day = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), nanoseconds];
  return new Type(...day, ...time, offset, zone);
}

async function add(statement: string, row: Row): Promise<void> {
  const rows = batches.get(statement) ?? [];
  batches.set(statement, rows);
  rows.push(row);
  if (rows.length >= ROWS_A_BATCH) await send(statement, rows);
}

async function send(statement: string, rows: Row[]): Promise<void> {
  batches.delete(statement);
  const { records } = await session.run(statement, {
    rows: rows.map(({ id, properties }) => ({ id: int(id), properties })),
    ends: rows.map(({ start, end }) => [elementIds.get(start), elementIds.get(end)]),
  });
  for (const record of records) elementIds.set(record.get("id").toNumber(), record.get("element"));
}

async function flush(): Promise<void> {
  for (const [statement, rows] of batches) await send(statement, rows);
}

const quoted = (name: string) => `\`${name.replaceAll("`", "``")}\``;
let isAtRelationships = false;
for await (const text of createInterface({ input: createReadStream(process.argv[2]!) })) {
  const line = JSON.parse(text) as Line;
  const properties = Object.fromEntries(
    Object.entries(line.properties ?? {}).map(([name, value]) => [name, driverValue(value)]),
  );
  if (line.type === "node") {
    const labels = line.labels.map((label) => `:${quoted(label)}`).join("");
    const create = `UNWIND $rows AS row CREATE (n${labels}) SET n = row.properties`;
    await add(`${create} RETURN row.id AS id, elementId(n) AS element`, { ...line, properties });
  } else if (line.type === "relationship") {
    if (!isAtRelationships) await flush();
    isAtRelationships = true;
    const create = `CREATE (a)-[r:${quoted(line.reltype)}]->(b) SET r = $rows[i].properties`;
    const ends = "MATCH (a) WHERE elementId(a) = $ends[i][0] MATCH (b) WHERE elementId(b) = $ends[i][1]";
    await add(`UNWIND range(0, size($rows) - 1) AS i ${ends} ${create}`, { ...line, properties });
  }
}
await flush();
await session.close();
await driver.close();
