import { expect, it } from "vitest";
import { seeded } from "./kill-import.ts";
import { fillDisk, killRestores } from "./sqlite-restore-kill.ts";

const KILLS = 3;

/** A sample of sqlite-restore-kill.campaign.test.ts. */
it(`${KILLS} kills each of a restore into a live file, with a log and with a rollback journal: old or new, nothing between`, async () => {
  const tally = await killRestores(KILLS, 4_000, seeded(5));
  expect(tally.old + tally.new).toBe(2 * KILLS);
  expect(tally.reads).toBeGreaterThan(0);
});

it.each(["WAL", "DELETE"])(
  "a full disk, journal mode %s: it fails, and the old content stays",
  async (journalMode) => {
    await fillDisk(journalMode, 4_000, 1_000);
  },
);
