import { expect, it } from "vitest";
import { seeded } from "./kill-import.ts";
import { killRestores } from "./sqlite-restore-kill.ts";

const KILLS = 100;

it(`${KILLS} kills each of a restore into a live file, with a log and with a rollback journal`, async () => {
  const seed = Number(process.env["OPSCTL_TEST_SEED"] ?? Date.now() % 1_000_000);
  const tally = await killRestores(KILLS, 20_000, seeded(seed));
  console.log(`seed ${seed}: ${2 * KILLS} kills, ${JSON.stringify(tally)}`);
  expect(tally.old + tally.new).toBe(2 * KILLS);
  expect(tally.old).toBeGreaterThan(0);
  expect(tally.new).toBeGreaterThan(0);
  expect(tally.inTheMiddle).toBeGreaterThan(0);
}, 1_200_000);
