/** The seed repeats a run: OPSCTL_TEST_SEED. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seeded } from "./kill-import.ts";
import { endAtRandom } from "./restore-kill.ts";
import { neo4jStore } from "./restore-neo4j.ts";
import { makeScene, type RestoreScene } from "./restore-scene.ts";

const KILLS = 40;
const STOPS = 10;
const SEED = Number(process.env["OPSCTL_TEST_SEED"] ?? Date.now() % 1_000_000);

describe(`restore of a graph, ended at random points, seed ${SEED}`, () => {
  let scene: RestoreScene;

  beforeAll(async () => {
    scene = await makeScene(async () => [await neo4jStore(5_000)]);
  });
  afterAll(() => scene?.drop());

  it(`${KILLS} × SIGKILL: wholly the data that are asked for`, async () => {
    const tally = await endAtRandom(scene, ["SIGKILL"], KILLS, seeded(SEED));
    console.log(`neo4j, SIGKILL, seed ${SEED}: ${JSON.stringify(tally)}`);
    expect(tally.ended).toBe(KILLS);
  });

  it(`${STOPS} × SIGINT and SIGTERM: the same`, async () => {
    const tally = await endAtRandom(scene, ["SIGINT", "SIGTERM"], STOPS, seeded(SEED));
    console.log(`neo4j, SIGINT and SIGTERM, seed ${SEED}: ${JSON.stringify(tally)}`);
    expect(tally.ended).toBe(STOPS);
  });
});
