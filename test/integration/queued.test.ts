/** The store that reads lay over a server: made once for what waits, and anew when that has changed. */
import { afterAll, expect, it } from "vitest";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteJournal } from "../../src/engines/sqlite/journal.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { queuedWrites } from "../../src/memory/queued.ts";
import { remember } from "../contract/memory-store.ts";
import { testCall } from "../support/calls.ts";
import { Sandbox } from "../support/cli.ts";

const box = new Sandbox();
const opened: ReturnType<typeof sqliteConnection>[] = [];
afterAll(async () => {
  for (const connection of opened) await connection.close();
  box.remove();
});

function open(path: string) {
  const connection = sqliteConnection(path);
  opened.push(connection);
  return connection;
}

it("is the same while the same writes wait, also when one comes for one that went", async () => {
  const journal = sqliteJournal(open(`${box.dir}/queued.db`));
  const store = "postgres:test:5432/app";
  const handle = {
    engine: "postgres" as const,
    identity: store,
    open: () => Promise.reject(new Error("away")),
  };
  let scratches = 0;
  const scratch = async () => {
    scratches++;
    return sqliteMemory(open(":memory:"));
  };
  const read = () => queuedWrites(testCall(), journal, scratch, [handle]);
  const append = async (n: number) => {
    const {
      prepared: _,
      order: __,
      ...write
    } = remember({ key: `issue:${n}`, content: "x", eventId: `e${n}` });
    return (await journal.append(testCall(), [write], [store]))[0]!.seq;
  };
  const keys = async () =>
    (await (await read())!.store.records(testCall(), {}, { limit: 9, offset: 0 })).map(({ key }) => key);

  expect([await read(), scratches]).toEqual([undefined, 0]);
  const first = await append(1);
  expect(await keys()).toEqual(["issue:1"]);
  expect(await read()).toBe(await read());
  expect(scratches).toBe(1);
  await append(2);
  await journal.delivered(testCall(), store, [first]);
  expect([await keys(), scratches]).toEqual([["issue:2"], 2]);
});
