/**
 * A process that makes the outdated index of the memory in the database URL anew: `renewed N` after each batch, and it goes on when a byte comes;
 * `done` at the end.
 */
import { readSync, writeSync } from "node:fs";
import { createCall } from "../../src/call.ts";
import { connectPostgres } from "../../src/engines/postgres/connect.ts";
import { outdatedIndex } from "../../src/engines/postgres/maintenance-memory.ts";

const [url] = process.argv.slice(2) as [string];
const target = { engine: "postgres" as const, url, shown: "", identity: "" };
const connection = await connectPostgres(target, { connectMs: 5_000, queryMs: 60_000, poolSize: 1 });
const call = createCall({
  actor: "runner@elsewhere",
  signal: new AbortController().signal,
  progress: ({ done }) => {
    writeSync(1, `renewed ${done}\n`);
    readSync(0, Buffer.alloc(1));
  },
});
for (const task of await outdatedIndex(call, connection)) await task.run(call);
process.stdout.write("done\n");
await connection.close();
