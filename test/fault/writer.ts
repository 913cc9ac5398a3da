/** A process that writes into one embedded file as fast as it can: `writer.ts FILE NAME COUNT`, one remember a transaction. */
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { prepare } from "../../src/memory/analyze.ts";
import type { FieldNames } from "../../src/memory/remember.ts";
import { rememberWrite } from "../../src/memory/remember.ts";
import { testCall } from "../support/calls.ts";

const [file, name, count] = process.argv.slice(2);
const connection = sqliteConnection(file!);
const store = sqliteMemory(connection);
const call = testCall(120_000);
const names = {} as FieldNames;
for (let n = 0; n < Number(count); n += 1) {
  // every process adds events to the same fifty records, and one record of its own now and then
  const key = n % 10 === 0 ? `issue:own-${name}-${n}` : `issue:shared-${n % 50}`;
  const write = rememberWrite(
    { key, content: `step ${n % 50}`, agent: name, eventId: `${name}-${n}` },
    names,
    Date.now(),
  );
  const [outcome] = await store.apply(call, [
    { ...write, order: Date.now(), prepared: prepare(write.record) },
  ]);
  if (outcome !== "new") throw new Error(`write ${n} was ${outcome}`);
  process.stdout.write(`${write.event.id}\n`);
}
await connection.close();
