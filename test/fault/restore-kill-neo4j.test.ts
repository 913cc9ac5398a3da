import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seeded } from "./kill-import.ts";
import { endAtRandom } from "./restore-kill.ts";
import { neo4jStore } from "./restore-neo4j.ts";
import { makeScene, type RestoreScene } from "./restore-scene.ts";

const KILLS = 1;

/** A sample of restore-kill-neo4j.campaign.test.ts. */
describe("restore of a graph, ended at random points", () => {
  let scene: RestoreScene;

  beforeAll(async () => {
    scene = await makeScene(async () => [await neo4jStore(500)]);
  });
  afterAll(() => scene?.drop());

  it(`${KILLS} × SIGKILL: wholly the data that are asked for`, async () => {
    const tally = await endAtRandom(scene, ["SIGKILL"], KILLS, seeded(33));
    expect(tally.ended).toBe(KILLS);
  }, 120_000);
});
