/** Data of the backup benchmark for Neo4j, and somebody who writes to it all the time. */
import neo4j, { type Driver, type Session } from "neo4j-driver";
import type { Neo4jServer } from "../services/neo4j.ts";
import { createRandom, type Random } from "./lib/random.ts";

const NODES = 200_000;
const RELATIONSHIPS = 400_000;
const ROWS_A_BATCH = 5_000;

const LABELS = ["Person", "Service", "Host", "Incident", "Document"];
const TYPES = ["KNOWS", "RUNS_ON", "CAUSED_BY", "MENTIONS"];

type Address = Pick<Neo4jServer, "uri" | "username" | "password">;
type Make = (random: Random) => unknown;

/** A property of each type that the database has, by name. */
const TYPED: Readonly<Record<string, Make>> = {
  big: ({ below }) => neo4j.int("9007199254740993").add(below(1_000_000)),
  not_a_number: ({ pick }) => pick([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0]),
  text: ({ below }) => `line one of ${below(1_000_000)}\n"quoted" \\ ünïcode 日本 😀`,
  bytes: ({ below }) => Int8Array.from({ length: 24 }, () => below(256) - 128),
  date: ({ below }) => new neo4j.types.Date(1970 + below(80), 1 + below(12), 1 + below(28)),
  local_time: ({ below }) => new neo4j.types.LocalTime(below(24), below(60), below(60), below(1e9)),
  time: ({ below }) => new neo4j.types.Time(below(24), below(60), below(60), below(1e9), 3_600),
  local_datetime: ({ below }) =>
    new neo4j.types.LocalDateTime(
      2000 + below(30),
      1 + below(12),
      1 + below(28),
      below(24),
      0,
      0,
      below(1e9),
    ),
  zoned: ({ below }) =>
    new neo4j.types.DateTime(
      2026,
      1 + below(12),
      1 + below(28),
      3,
      0,
      0,
      below(1e9),
      undefined,
      "Europe/Berlin",
    ),
  duration: ({ below }) => new neo4j.types.Duration(below(24), below(30), below(86_400), below(1e9)),
  place: ({ next }) => new neo4j.types.Point(neo4j.int(4326), next() * 360 - 180, next() * 180 - 90),
  position: ({ next }) => new neo4j.types.Point(neo4j.int(9157), next(), next(), next()),
  tags: ({ below }) => [`tag-${below(50)}`, `tag-${below(50)}`, "ops"],
  numbers: ({ below }) => [neo4j.int(below(100)), neo4j.int(below(100))],
  measures: ({ next }) => [next(), next(), next()],
  flags: () => [true, false],
  days: ({ below }) => [new neo4j.types.Date(2026, 1 + below(12), 1)],
};
const NAMES = Object.keys(TYPED);

/** `count` of the typed properties, other ones for each number. */
function typed(random: Random, number: number, count: number): Record<string, unknown> {
  const names = Array.from({ length: count }, (_, index) => NAMES[(number + index * 5) % NAMES.length]!);
  return Object.fromEntries(names.map((name) => [name, TYPED[name]!(random)]));
}

/** Makes nodes and relationships in batches, a constraint and indexes. */
export async function fillNeo4j(server: Address, scale: number, signal: AbortSignal): Promise<void> {
  const random = createRandom(4);
  const nodes = Math.round(NODES * scale);
  await withDriver(server, async (driver) => {
    const session = driver.session({ database: "neo4j" });
    await session.run("CREATE CONSTRAINT entity_id FOR (n:Entity) REQUIRE n.id IS UNIQUE");
    await session.run("CREATE INDEX person_name FOR (n:Person) ON (n.name)");
    await session.run("CREATE FULLTEXT INDEX texts FOR (n:Document|Incident) ON EACH [n.text]");
    await inBatches(session, signal, nodes, (batch) => ({
      statement: `UNWIND $rows AS row CREATE (n:Entity:${LABELS[batch % LABELS.length]}) SET n = row`,
      row: (id) => ({
        id: neo4j.int(id),
        name: `name of ${id}`,
        score: random.next(),
        active: random.next() < 0.5,
        created: new neo4j.types.DateTime(2026, 1 + (id % 12), 1 + (id % 28), id % 24, 0, 0, id, 0),
        ...typed(random, id, 4),
      }),
    }));
    await inBatches(session, signal, Math.round(RELATIONSHIPS * scale), (batch) => ({
      statement: `UNWIND $rows AS row MATCH (a:Entity {id: row.a}), (b:Entity {id: row.b})
                  CREATE (a)-[r:${TYPES[batch % TYPES.length]}]->(b) SET r = row.properties`,
      row: (id) => ({
        a: neo4j.int(random.below(nodes)),
        b: neo4j.int(random.below(nodes)),
        properties: { since: neo4j.int(id), weight: random.next(), ...typed(random, id, 2) },
      }),
    }));
    await session.run("CALL db.awaitIndexes(300)");
    await session.close();
  });
}

interface Batch {
  statement: string;
  row: (number: number) => Record<string, unknown>;
}

async function inBatches(
  session: Session,
  signal: AbortSignal,
  count: number,
  batchOf: (batch: number) => Batch,
): Promise<void> {
  for (let first = 0; first < count; first += ROWS_A_BATCH) {
    signal.throwIfAborted();
    const { statement, row } = batchOf(first / ROWS_A_BATCH);
    const length = Math.min(ROWS_A_BATCH, count - first);
    await session.run(statement, { rows: Array.from({ length }, (_, index) => row(first + index)) });
  }
}

export interface Written {
  /** Writes that were answered. */
  writes: number;
  /** The longest that one of them took, ms. */
  longestMs: number;
  /** Writes that were refused (a deadlock with the freeze is the server's choice of a victim). */
  refused: number;
}

/** Changes nodes one after another, as fast as the server answers, while `work` runs. */
export async function besideWriter<T>(server: Address, work: () => Promise<T>): Promise<[T, Written]> {
  return withDriver(server, async (driver) => {
    const written: Written = { writes: 0, longestMs: 0, refused: 0 };
    let isOver = false;
    const writer = (async () => {
      const session = driver.session({ database: "neo4j" });
      for (let id = 0; !isOver; id = (id + 7_919) % 1_000) {
        const startedAt = performance.now();
        await session.run("MATCH (n:Entity {id: $id}) SET n.score = rand()", { id: neo4j.int(id) }).then(
          () => {
            written.writes += 1;
          },
          () => {
            written.refused += 1;
          },
        );
        written.longestMs = Math.max(written.longestMs, performance.now() - startedAt);
      }
      await session.close();
    })();
    try {
      return [await work(), written];
    } finally {
      isOver = true;
      await writer;
    }
  });
}

async function withDriver<T>(
  { uri, username, password }: Address,
  work: (driver: Driver) => Promise<T>,
): Promise<T> {
  const driver = neo4j.driver(uri, neo4j.auth.basic(username, password));
  try {
    return await work(driver);
  } finally {
    await driver.close();
  }
}
