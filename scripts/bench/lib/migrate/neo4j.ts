/** `opsctl migrate up neo4j` beside a bare loop over the driver, on a server of its own. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import neo4j, { type Session } from "neo4j-driver";
import { startNeo4j } from "../../../services/neo4j.ts";
import { timeProgram } from "../processes.ts";
import { createRandom, type Random } from "../random.ts";
import type { Measured, Setting } from "./measure.ts";
import { neo4jPrograms } from "./peers.ts";
import { countRoundTrips } from "./round-trips.ts";

const LABELS =
  "Account Asset Branch Customer Device Employee Event Invoice Location Order Product Supplier".split(" ");

/** Files of one or two statements: constraints, indexes, nodes, relationships, changed properties. The same for the same seed. */
export function generateCypher(count: number, seed = 1): string[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, (_, index) =>
    statements(random, index)
      .map((statement) => `${statement};\n`)
      .join("\n"),
  );
}

/** The first files make the constraints behind every MERGE. */
function statements(random: Random, index: number): string[] {
  const label = LABELS[index];
  if (label) {
    return [
      `CREATE CONSTRAINT ${label.toLowerCase()}_id IF NOT EXISTS FOR (n:${label}) REQUIRE n.id IS UNIQUE`,
      `CREATE INDEX ${label.toLowerCase()}_name IF NOT EXISTS FOR (n:${label}) ON (n.name)`,
    ];
  }
  const [one, other] = random.shuffled(LABELS) as [string, string];
  const type = `${one}_TO_${other}`.toUpperCase();
  const changes = [
    `UNWIND range(${index * 10}, ${index * 10 + 9}) AS id\nMERGE (n:${one} {id: id})\nSET n.name = '${one}; ' + id, n.version = 1`,
    `MATCH (a:${one}), (b:${other}) WHERE a.id < b.id\nWITH a, b ORDER BY a.id, b.id LIMIT 5\nMERGE (a)-[r:${type}]->(b)\nSET r.weight = a.id + b.id`,
    `MATCH (n:${one}) SET n.version = coalesce(n.version, 0) + 1, n.checked_in = ${index}`,
    `CREATE INDEX ${one.toLowerCase()}_${index} IF NOT EXISTS FOR (n:${one}) ON (n.field_${index})`,
  ];
  return [random.pick(changes)];
}

const WARM_UPS = 1;

/** The bare loop first. @throws Error when the two leave different graphs */
export async function measureNeo4j(setting: Setting, files: number, rounds: number): Promise<Measured[]> {
  const { folder, log, signal } = setting;
  log("starting Neo4j");
  const server = await startNeo4j({ dir: join(folder, "neo4j"), signal });
  const driver = neo4j.driver(server.uri, neo4j.auth.basic(server.username, server.password), {
    disableLosslessIntegers: true,
  });
  const session = driver.session({ database: "neo4j" });
  try {
    const env = {
      ...setting.env,
      NEO4J_USERNAME: server.username,
      NEO4J_PASSWORD: server.password,
    };
    const place = writeFiles(join(folder, "cypher"), files);
    const programs = (uri: URL) => neo4jPrograms(place, { ...env, NEO4J_URI: uri.href });
    return await interleaved(session, new URL(server.uri), programs, setting, rounds);
  } finally {
    await session.close();
    await driver.close();
    await server.stop();
  }
}

function writeFiles(folder: string, count: number): string {
  mkdirSync(folder, { recursive: true });
  for (const [index, text] of generateCypher(count).entries()) {
    const number = String(index + 1).padStart(3, "0");
    writeFileSync(join(folder, `V${number}-change-up.cypher`), text);
  }
  return folder;
}

async function interleaved(
  session: Session,
  server: URL,
  programsFor: (uri: URL) => ReturnType<typeof neo4jPrograms>,
  { random, signal, log }: Setting,
  rounds: number,
): Promise<Measured[]> {
  const programs = programsFor(server);
  const measured: Measured[] = [];
  for (const [index, { name }] of programs.entries()) {
    await wipe(session);
    const roundTrips = await countRoundTrips(server, (proxied) => programsFor(proxied)[index]!.program);
    measured.push({ name, timings: [], roundTrips });
  }
  const graphs = new Set<string>();
  // a fresh Java process is several times slower
  for (let round = 1 - WARM_UPS; round <= rounds; round += 1) {
    log(round > 0 ? `round ${round} of ${rounds}` : "warm-up");
    for (const index of random.shuffled([...programs.keys()])) {
      signal.throwIfAborted();
      await wipe(session);
      const timing = timeProgram(programs[index]!.program);
      if (round > 0) measured[index]!.timings.push(timing);
      graphs.add(await graphOf(session));
    }
    if (graphs.size > 1) throw new Error("opsctl and the bare loop left different graphs");
  }
  return measured;
}

/** In the names of what opsctl keeps beside: history, lock. */
const OWN = "opsctl_";

/** What the files made, as text. */
async function graphOf(session: Session): Promise<string> {
  const queries = [
    "SHOW CONSTRAINTS YIELD name, type, labelsOrTypes, properties RETURN name, type, labelsOrTypes, properties ORDER BY name",
    "SHOW INDEXES YIELD name, type, labelsOrTypes, properties RETURN name, type, labelsOrTypes, properties ORDER BY name",
    "MATCH (n) RETURN labels(n) AS labels, properties(n) AS properties ORDER BY labels, properties.id",
    "MATCH (a)-[r]->(b) RETURN a.id AS a, type(r) AS type, properties(r) AS properties, b.id AS b ORDER BY a, type, b",
  ];
  const parts: string[] = [];
  for (const query of queries) {
    const { records } = await session.run(query);
    parts.push(...records.map((record) => JSON.stringify(record.toObject())));
  }
  return parts.filter((part) => !part.includes(OWN)).join("\n");
}

async function wipe(session: Session): Promise<void> {
  await session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS");
  for (const [kind, listing] of [
    ["CONSTRAINT", "SHOW CONSTRAINTS YIELD name"],
    ["INDEX", "SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP'"],
  ] as const) {
    const { records } = await session.run(listing);
    for (const record of records) await session.run(`DROP ${kind} \`${record.get("name")}\``);
  }
}
