/** Samples of what migrate-kill.campaign.test.ts does to Neo4j, and several runners on it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import type { TestNeo4j } from "../support/servers.ts";
import { seeded } from "./kill-import.ts";
import { commandLine, killAtRandom } from "./migrate-kill.ts";
import { neo4jSubject } from "./migrate-neo4j.ts";
import { sixRunners, whileStopped } from "./migrate-runners.ts";
import type { Subject } from "./migrate-subject.ts";
import { checkWhole } from "./migrate-truth.ts";

const KILLS = 5;

/** Defines the tests; `server` is asked for when they run. */
export function migrateUnderFaults(server: () => TestNeo4j): void {
  let box: Sandbox;

  beforeAll(() => {
    box = new Sandbox();
  });
  afterAll(() => box.remove());

  it(`after ${KILLS} kills with SIGKILL at random points everything is there once`, async () => {
    const make = () => neo4jSubject(box, server());
    const tally = await killAtRandom({
      box,
      make,
      random: seeded(7),
      kills: KILLS,
      paceMs: 30,
      startMs: 800,
    });
    expect(tally.kills).toBe(KILLS);
  }, 240_000);

  describe("several runners", () => {
    let subject: Subject;

    beforeEach(async () => {
      subject = await neo4jSubject(box, server());
    });
    afterEach(() => subject.drop());

    it("of six one works, and the others find nothing to do", async () => {
      await sixRunners(box, subject);
    });

    it("a holder that is stopped is named; when its lease has ended another goes on, and it finds out", async () => {
      const args = commandLine(subject, "up");
      const first = await whileStopped(box, subject, async (pid) => {
        const impatient = await box.run([...args, "--lock-wait", "1s"], { env: subject.env });
        expect(impatient.stderr).toMatch(new RegExp(`\\b${pid}\\b`));
        expect(impatient).toMatchObject({ code: 22, stdout: "" });
        const patient = await box.run([...args, "--lock-wait", "60s"], { env: subject.env });
        expect(patient.code, patient.stderr).toBe(0);
      });
      expect(first.code, first.stderr).toBe(22);
      await checkWhole(box, subject);
    });
  });
}
