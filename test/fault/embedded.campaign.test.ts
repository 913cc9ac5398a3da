import { expect, it } from "vitest";
import { killedImport, seeded } from "./kill-import.ts";

const KILLS = 100;

it(`survives ${KILLS} kills of an import at random points`, async () => {
  const seed = Number(process.env["OPSCTL_TEST_SEED"] ?? Date.now() % 1_000_000);
  const random = seeded(seed);
  let partial = 0;
  for (let kill = 0; kill < KILLS; kill += 1) {
    const kept = await killedImport(random);
    if (kept > 0 && kept < 20_000) partial += 1;
  }
  console.log(`seed ${seed}: ${KILLS} kills, ${partial} in the middle of the data, 0 lost, 0 twice`);
  expect(partial).toBeGreaterThan(0);
});
