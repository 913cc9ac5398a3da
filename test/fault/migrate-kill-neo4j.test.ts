import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { seeded } from "./kill-import.ts";
import { killAtRandom } from "./migrate-kill.ts";
import { neo4jSubject } from "./migrate-neo4j.ts";
import { sixRunners } from "./migrate-runners.ts";

const KILLS = 1;

/** Samples of migrate-kill.campaign.test.ts and migrate-holder.campaign.test.ts. */
describe("migrate on Neo4j under faults", () => {
  let box: Sandbox;

  beforeAll(() => {
    box = new Sandbox({ shared: true });
  });
  afterAll(() => box.remove());

  it(`after ${KILLS} kills with SIGKILL at random points everything is there once`, async () => {
    const make = () => neo4jSubject(box);
    const pace = { paceMs: 30, startMs: 800 };
    const tally = await killAtRandom({ box, make, random: seeded(7), kills: KILLS, ...pace });
    expect(tally.kills).toBe(KILLS);
  }, 240_000);

  it("of six runners one works, and the others find nothing to do", async () => {
    const subject = await neo4jSubject(box);
    try {
      await sixRunners(box, subject);
    } finally {
      await subject.drop();
    }
  });
});
