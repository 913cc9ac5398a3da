import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endAtRandom, makeSubject, replaceAtRandom, type Subject } from "./backup-kill.ts";
import { seeded } from "./kill-import.ts";

const BYTES = 3 * 1024 * 1024;
const KILLS = 20;
const STOPS = 4;

/** Samples of backup-kill.campaign.test.ts. */
describe("backup, ended at random points", () => {
  let subject: Subject;

  beforeAll(async () => {
    subject = await makeSubject(BYTES);
  });
  afterAll(() => subject?.drop());

  it(`${KILLS} × SIGKILL: only whole archives, a free lock, and the next run sweeps`, async () => {
    const tally = await endAtRandom(subject, ["SIGKILL"], KILLS, seeded(21));
    expect(tally.ended).toBe(KILLS);
    // some of them were in the middle of their work
    expect(tally.leftBehind).toBeGreaterThan(0);
  }, 120_000);

  it(`${STOPS} × SIGINT and SIGTERM: the folder is clean at once`, async () => {
    const tally = await endAtRandom(subject, ["SIGINT", "SIGTERM"], STOPS, seeded(22));
    expect(tally).toMatchObject({ ended: STOPS, leftBehind: 0 });
  }, 120_000);

  it(`${STOPS} × SIGKILL of runs that replace a single file: it is whole each time`, async () => {
    expect(await replaceAtRandom(subject, STOPS, seeded(23))).toBeGreaterThan(0);
  });
});
