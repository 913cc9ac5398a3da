import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endAtRandom, makeSubject, replaceAtRandom, type Subject } from "./backup-kill.ts";
import { seeded } from "./kill-import.ts";

const BYTES = 12 * 1024 * 1024;
const KILLS = 200;
const STOPS = 50;

describe("backup, ended at random points", () => {
  let subject: Subject;

  beforeAll(async () => {
    subject = await makeSubject(BYTES);
  });
  afterAll(() => subject?.drop());

  const seed = Number(process.env["OPSCTL_TEST_SEED"] ?? Date.now() % 1_000_000);

  it(`${KILLS} × SIGKILL: only whole archives, a free lock, and the next run sweeps`, async () => {
    const tally = await endAtRandom(subject, ["SIGKILL"], KILLS, seeded(seed));
    console.log(`SIGKILL, seed ${seed}: ${JSON.stringify(tally)}`);
    expect(tally.ended).toBe(KILLS);
    expect(tally.leftBehind).toBeGreaterThan(0);
    expect(tally.published).toBeGreaterThan(0);
  });

  it(`${STOPS} × SIGINT and SIGTERM: the folder is clean at once`, async () => {
    const tally = await endAtRandom(subject, ["SIGINT", "SIGTERM"], STOPS, seeded(seed));
    console.log(`SIGINT and SIGTERM, seed ${seed}: ${JSON.stringify(tally)}`);
    expect(tally).toMatchObject({ ended: STOPS, leftBehind: 0 });
  });

  it(`${STOPS} × SIGKILL of runs that replace a single file: it is whole each time`, async () => {
    expect(await replaceAtRandom(subject, STOPS, seeded(seed))).toBeGreaterThan(0);
  });
});
