import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endAtRandom, makeSubject, replaceAtRandom, type Subject, withoutServer } from "./backup-kill.ts";
import { seeded } from "./kill-import.ts";

const BYTES = 1024 * 1024;
/** Most of runs that start fast, some of runs with a child process and a session. */
const KILLS_OF_A_FILE = 8;
const KILLS = 2;
const STOPS = 1;
const REPLACEMENTS = 1;

/** Samples of backup-kill.campaign.test.ts. */
describe("backup, ended at random points", () => {
  let subject: Subject;

  beforeAll(async () => {
    subject = await makeSubject(BYTES);
  });
  afterAll(() => subject?.drop());

  it(`${KILLS_OF_A_FILE} × SIGKILL of a SQLite file alone: only whole archives, a free lock, and the next run sweeps`, async () => {
    const tally = await endAtRandom(withoutServer(subject), ["SIGKILL"], KILLS_OF_A_FILE, seeded(21));
    expect(tally.ended).toBe(KILLS_OF_A_FILE);
    // some of them were in the middle of their work
    expect(tally.leftBehind).toBeGreaterThan(0);
  }, 120_000);

  it(`${KILLS} × SIGKILL with PostgreSQL beside it: no program and no session is left either`, async () => {
    const tally = await endAtRandom(subject, ["SIGKILL"], KILLS, seeded(24));
    expect(tally.ended).toBe(KILLS);
  }, 120_000);

  it(`${STOPS} × SIGINT and SIGTERM: the folder is clean at once`, async () => {
    const tally = await endAtRandom(subject, ["SIGINT", "SIGTERM"], STOPS, seeded(22));
    expect(tally).toMatchObject({ ended: STOPS, leftBehind: 0 });
  }, 120_000);

  it(`${REPLACEMENTS} × SIGKILL of runs that replace a single file: it is whole each time`, async () => {
    expect(await replaceAtRandom(subject, REPLACEMENTS, seeded(23))).toBeGreaterThan(0);
  });
});
