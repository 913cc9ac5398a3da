/** Statistics of indexes and indexes that could not be built: planned, done, not planned again. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { neo4jMaintenance } from "../../src/engines/neo4j/maintenance.ts";
import { testCall } from "../support/calls.ts";
import { until } from "../support/cli.ts";
import { openNeo4j } from "../support/neo4j.ts";

const { connection, wipe } = openNeo4j();
const { plan } = neo4jMaintenance(connection);
const run = (query: string) => connection.command(testCall(), query);
const planned = async (all = false) =>
  (await plan(testCall(), { all })).map(({ kind, subject }) => `${kind} ${subject}`);
const stateOf = (name: string) =>
  connection.read<{ state: string }>(
    testCall(),
    "SHOW INDEXES YIELD name, state WHERE name = $name RETURN state",
    { name },
  );

beforeAll(wipe);

afterAll(async () => {
  await wipe();
  await connection.close();
});

test("an empty graph needs nothing", async () => {
  expect(await planned()).toEqual([]);
  expect(await planned(true)).toEqual([]);
});

describe("statistics", () => {
  test("taken anew when enough has changed", async () => {
    await run("CREATE INDEX `it's \\ one` FOR (n:Sampled) ON (n.i)");
    await run("CREATE INDEX other FOR ()-[r:SAMPLED]-() ON (r.i)");
    await connection.read(testCall(), "CALL db.awaitIndexes(60)");
    await run("UNWIND range(1, 3000) AS i CREATE (:Sampled {i: i})");
    const tasks = await plan(testCall(), { all: false });
    expect(tasks.map(({ kind }) => kind)).toEqual(["resample-index", "replan"]);
    expect(tasks[0]).toMatchObject({
      subject: "index it's \\ one",
      why: expect.stringMatching(/^3000 changes/),
    });
    // its statement is what a person could run
    await connection.read(testCall(), tasks[0]!.statement);
    for (const task of tasks) expect(await task.run(testCall())).toEqual({ freed_bytes: null, note: null });
    expect(await planned()).toEqual([]);
  });

  test("of all indexes, when that is wanted", async () => {
    expect(await planned(true)).toEqual([
      "resample-index index it's \\ one",
      "resample-index index other",
      "replan cached query plans",
    ]);
  });
});

describe("an index that could not be built", () => {
  beforeAll(async () => {
    await run("CREATE (:Rebuilt {v: reduce(s = '', x IN range(1, 9000) | s + toString(x * 7919))})");
    await run("CREATE INDEX rebuilt FOR (n:Rebuilt) ON (n.v)");
    await until("the index has failed", async () => (await stateOf("rebuilt"))[0]?.state === "FAILED");
  });

  test("fails again while the value is too large, and is still there", async () => {
    const [task] = await plan(testCall(), { all: false });
    expect(task).toMatchObject({ kind: "rebuild-index", subject: "index rebuilt" });
    await expect(task!.run(testCall())).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("too large"),
    });
    expect(await stateOf("rebuilt")).toEqual([{ state: "FAILED" }]);
  });

  test("is built when it is not any more", async () => {
    await run("MATCH (n:Rebuilt) SET n.v = 'short'");
    const [task] = await plan(testCall(), { all: false });
    await task!.run(testCall());
    expect(await stateOf("rebuilt")).toEqual([{ state: "ONLINE" }]);
    expect(await planned()).toEqual([]);
  });
});
