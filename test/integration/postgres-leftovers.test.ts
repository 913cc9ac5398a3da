/** What drills and restores left on a server: what is taken, and above all what is not. */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { postgresLeftovers } from "../../src/engines/postgres/leftovers.ts";
import { besideName } from "../../src/engines/postgres/restore-names.ts";
import { lockId, openServer } from "../../src/engines/postgres/restore-session.ts";
import { testCall } from "../support/calls.ts";
import { failure, MigrationBench } from "../support/postgres-migrations.ts";

/** Its quote must not end a statement. */
const live = `left"over_${randomBytes(4).toString("hex")}`;
const id = randomBytes(4).toString("hex");
const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;

let bench: MigrationBench;
const made: string[] = [];

async function make(beside: "new" | "old" | "drill", options = ""): Promise<string> {
  const name = besideName(live, id, beside);
  made.push(name);
  await bench.sql(`CREATE DATABASE ${quoted(name)} ${options}`);
  return name;
}

/** Of ours: others have drills, too. */
async function found(kept: string[] = [], waitsMs?: number, connection = bench.admin) {
  const items = await postgresLeftovers(testCall(), connection, kept, waitsMs);
  return items.filter(({ subject }) => subject.includes(live));
}

const exists = async (name: string) =>
  (await bench.sql("SELECT 1 FROM pg_database WHERE datname = $1", [name])).length > 0;

beforeAll(async () => {
  bench = await MigrationBench.start();
});
afterEach(async () => {
  for (const name of made.splice(0)) {
    if (!(await exists(name))) continue;
    await bench.sql(`ALTER DATABASE ${quoted(name)} IS_TEMPLATE false`);
    await bench.sql(`DROP DATABASE IF EXISTS ${quoted(name)} WITH (FORCE)`);
  }
});
afterAll(() => bench?.stop());

describe("a drill's database", () => {
  it("is taken when the drill is gone, a second time without an error", async () => {
    const name = await make("drill", "IS_TEMPLATE true");
    const [item, ...others] = await found();
    expect(others).toEqual([]);
    expect(item).toMatchObject({ count: 1, subject: expect.stringContaining(name) });
    expect(item!.size_bytes).toBeGreaterThan(1_000_000);
    await item!.remove(testCall());
    expect(await exists(name)).toBe(false);
    await item!.remove(testCall());
    expect(await found()).toEqual([]);
  });

  it("stays while the drill holds its lock, also when it began after the look", async () => {
    const name = await make("drill");
    const [item] = await found();
    const holder = await openServer(testCall(), bench.admin.bare(), name);
    await lockId(testCall(), holder, id);
    expect(await found()).toEqual([]);
    const error = await failure(item!.remove(testCall()));
    await holder.close();
    expect(error.code).toBe("locked");
    expect(await exists(name)).toBe(true);
  });

  it("stays while a session is in it, and nobody is thrown out", async () => {
    const name = await make("drill");
    const [item] = await found();
    const guest = await (await bench.open({ database: encodeURIComponent(name) })).lend(testCall());
    await guest.query("SELECT 1");
    expect(await found()).toEqual([]);
    expect(await failure(item!.remove(testCall()))).toMatchObject({
      code: "locked",
      message: expect.stringContaining("a session is in it"),
    });
    expect(await guest.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
    guest.release(true);
  });

  it("of somebody else is not ours to take", async () => {
    const role = `other_${randomBytes(4).toString("hex")}`;
    await bench.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'of a test'`);
    await make("drill");
    const seen = await found([], undefined, await bench.open({ user: role, password: "of a test" }));
    await bench.sql(`DROP ROLE ${role}`);
    expect(seen).toEqual([]);
  });
});

describe("what a restore loaded", () => {
  it.each([
    ["is taken when it has waited too long", [], 0, 1],
    ["stays when it is young: a restore of another host may be at its next step", [], undefined, 0],
    ["stays when its restore is not over", [id], 0, 0],
    ["stays when its name is needed", [besideName(live, id, "new")], 0, 0],
  ])("%s", async (_what, kept, waitsMs, count) => {
    const name = await make("new");
    const items = await found(kept, waitsMs);
    expect(items).toHaveLength(count);
    for (const item of items) await item.remove(testCall());
    expect(await exists(name)).toBe(count === 0);
  });

  it("stays where its age cannot be known", async () => {
    const role = `owner_${randomBytes(4).toString("hex")}`;
    await bench.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'of a test'`);
    await make("new", `OWNER ${role}`);
    await make("drill", `OWNER ${role}`);
    const seen = await found([], 0, await bench.open({ user: role, password: "of a test" }));
    for (const name of made) await bench.sql(`DROP DATABASE ${quoted(name)}`);
    await bench.sql(`DROP ROLE ${role}`);
    expect(seen.map(({ why }) => why)).toEqual(["its drill is not running any more"]);
  });
});

it("what was live before a restore is never taken: it may be the only way back", async () => {
  await make("old");
  expect(await found([], 0)).toEqual([]);
});
