import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { seeded } from "./kill-import.ts";
import { endAtRandom } from "./restore-kill.ts";
import { makeThree, type RestoreScene } from "./restore-scene.ts";

const KILLS = 2;

/** Samples of restore-kill.campaign.test.ts. */
describe("restore, ended at random points", () => {
  let scene: RestoreScene;

  beforeAll(async () => {
    scene = await makeThree();
  });
  afterAll(() => scene?.drop());

  it(`${KILLS} × SIGKILL: old or new, then wholly the one that is asked for`, async () => {
    const tally = await endAtRandom(scene, ["SIGKILL"], KILLS, seeded(31));
    expect(tally.ended).toBe(KILLS);
    expect(tally.resumed + tally.aborted).toBeGreaterThan(0);
  }, 120_000);
});
