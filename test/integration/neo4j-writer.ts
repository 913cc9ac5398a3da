/**
 * A process that applies overlapping batches to the Neo4j of the test run: `neo4j-writer.ts FROM TO SIZE`,
 * records and events numbered FROM to TO, each batch of SIZE. Prints {"new": …, "duplicate": …, "conflict":
 * …}.
 */
import { neo4jMemory } from "../../src/engines/neo4j/memory.ts";
import { prepare } from "../../src/memory/analyze.ts";
import { digestOf, recordId } from "../../src/memory/ids.ts";
import type { PreparedWrite } from "../../src/memory/port.ts";
import { testCall } from "../support/calls.ts";
import { openNeo4j } from "../support/neo4j.ts";

function write(n: number): PreparedWrite {
  // five events a record, ten records an issue
  const key = `issue:shared ${Math.floor(n / 50)}`;
  const content = `restart pod number ${Math.floor(n / 5)}`;
  const record = {
    id: recordId("default", key, content, null),
    namespace: "default",
    key,
    content,
    details: null,
  };
  const event = {
    id: `event-${n}`,
    agent: `agent-${n % 7}`,
    server: null,
    success: true,
    tags: [],
    metadata: {},
    at: n,
  };
  return {
    kind: "remember",
    order: n,
    record,
    event,
    digest: digestOf([record, event]),
    prepared: prepare(record),
  };
}

const [from, to, size] = process.argv.slice(2).map(Number) as [number, number, number];
const { connection } = openNeo4j();
const store = neo4jMemory(connection);
const totals = { new: 0, duplicate: 0, conflict: 0 };
for (let start = from; start < to; start += size) {
  const batch = Array.from({ length: Math.min(size, to - start) }, (_, i) => write(start + i));
  for (const outcome of await store.apply(testCall(120_000), batch)) totals[outcome] += 1;
}
await connection.close();
process.stdout.write(`${JSON.stringify(totals)}\n`);
