/** Restores one SQLite file into another, and says when it begins and when it has. Arguments: the live file, the file of a set. */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import { sqliteRestore } from "../../src/engines/sqlite/restore.ts";
import { testCall } from "../support/calls.ts";

const [live, staged] = process.argv.slice(2) as [string, string];
const part = await sqliteRestore(
  {
    id: "1a2b3c4d",
    name: "app.db",
    files: [
      { path: "sqlite/app.db", kind: "sqlite-database", size_bytes: statSync(staged).size, local: staged },
    ],
    expected: { counts: {}, breakdown: {} },
    serverVersion: null,
    isOurs: true,
    work: dirname(staged),
    saved: { undo: "safety" },
    save: async () => {},
    options: {
      jobs: 1,
      redis: { method: "auto", server: "redis-server" },
      neo4j: { admin: "neo4j-admin", cypherShell: "cypher-shell" },
    },
  },
  {
    target: { engine: "sqlite", url: live, shown: live, identity: `sqlite:${live}`, foreign: true },
    limits: { connectMs: 1_000, queryMs: 1_000, poolSize: 1 },
  },
);
process.stdout.write("begun\n");
const { outage_ms: outage, notes } = await part.swap(testCall(60_000));
process.stdout.write(`swapped ${outage} ${notes.join("; ")}\n`);
