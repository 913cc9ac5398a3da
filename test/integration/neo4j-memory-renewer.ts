/**
 * A process that renews the index of the Neo4j of the test run and kills itself: `neo4j-memory-renewer.ts STEPS MS`, so many milliseconds after
 * so many transactions.
 */
import { createCall } from "../../src/call.ts";
import { renewIndex } from "../../src/engines/neo4j/memory-renew.ts";
import { openNeo4j } from "../support/neo4j.ts";

const [steps, ms] = process.argv.slice(2).map(Number) as [number, number];
const { connection } = openNeo4j();
const die = () => process.kill(process.pid, "SIGKILL");
let seen = 0;
await renewIndex(
  createCall({
    actor: "tester@host",
    signal: new AbortController().signal,
    progress() {
      seen += 1;
      if (seen !== steps) return;
      if (ms === 0) die();
      else setTimeout(die, ms);
    },
  }),
  connection,
);
await connection.close();
