import neo4j, { type Session } from "neo4j-driver";
import { type Sandbox, until } from "../support/cli.ts";
import { neo4jServer, type TestNeo4j } from "../support/servers.ts";
import {
  countMarks,
  type Marked,
  type MarkedFile,
  numbers,
  type Subject,
  versionOf,
  writeFiles,
} from "./migrate-subject.ts";

/** A node: twice when it runs twice. */
function node(mark: string): Marked {
  return { text: `CREATE (:Ledger {mark: '${mark.replaceAll("'", "\\'")}'});`, adds: mark };
}

const LOOP: Marked = { text: "MATCH (l:Ledger) CALL (l) { SET l.seen = true } IN TRANSACTIONS OF 10 ROWS;" };

/**
 * Marks: nodes `Ledger`, and indexes `i_…`. Data alone; with a statement that commits by itself; mixed with schema; schema alone. Few make
 * an index: each throws away the plans of all queries.
 */
const NEO4J_FILES: readonly MarkedFile[] = numbers().map((number) => {
  const version = versionOf(number);
  const index = `i_${version.toLowerCase()}`;
  const make = { text: `CREATE INDEX ${index} FOR (n:T_${version}) ON (n.name);`, adds: index };
  const drop = { text: `DROP INDEX ${index};`, removes: index };
  const first = node(`${version} first`);
  const last = node(`${version} last; it's`);
  const down = [node(`${version} down`), node(`${version} down again`)];
  if (number % 5 === 0) return { version, up: [first, LOOP, last], down };
  if (number % 10 === 3)
    return { version, up: [first, last, make, node(`${version} end`)], down: [...down, drop] };
  if (number % 10 === 6) return { version, up: [make], down: [drop] };
  return { version, up: [first, last], down };
});

/** The one database of the test run, or a server of the test's own; wiped where it can be. */
export async function neo4jSubject(
  box: Sandbox,
  own?: Omit<TestNeo4j, "wipe"> & Partial<TestNeo4j>,
): Promise<Subject> {
  writeFiles(box, "neo4j", NEO4J_FILES);
  const server = own ?? neo4jServer();
  const { uri, username, password } = server;
  const wipe = async () => server.wipe?.();
  await wipe();
  const driver = neo4j.driver(uri, neo4j.auth.basic(username, password), { disableLosslessIntegers: true });
  const ask = async (work: (session: Session) => Promise<string[]>) => {
    const session = driver.session({ database: "neo4j" });
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  };
  const column = (query: string) =>
    ask(async (session) => (await session.run(query)).records.map((record) => String(record.get(0))));
  return {
    engine: "neo4j",
    files: NEO4J_FILES,
    env: { NEO4J_URI: uri, NEO4J_USERNAME: username, NEO4J_PASSWORD: password },
    target: ["neo4j"],
    async marks() {
      const nodes = await column("MATCH (l:Ledger) RETURN l.mark");
      const indexes = await column("SHOW INDEXES YIELD name WHERE name STARTS WITH 'i_' RETURN name");
      return countMarks([...nodes, ...indexes]);
    },
    async expire() {
      await column("MATCH (l:opsctl_lock) SET l.expires_at = 0");
    },
    async settle() {
      await until("the killed client's transactions are gone", async () => {
        const running = await column("SHOW TRANSACTIONS YIELD transactionId RETURN transactionId");
        return running.length === 1;
      });
    },
    async drop() {
      await driver.close();
      await wipe();
    },
  };
}
