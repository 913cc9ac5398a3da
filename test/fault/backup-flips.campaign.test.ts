/** Random damage to archives; the seed repeats a run: OPSCTL_TEST_SEED. */
import { randomInt } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { Victim } from "./backup-flips.ts";
import { seeded } from "./kill-import.ts";

const FLIPS = 1_000;
const CUTS = 200;
const SEED = Number(process.env["OPSCTL_TEST_SEED"] ?? randomInt(1, 2 ** 31));

let victim: Victim;
afterEach(() => victim.remove());

describe.each(["tar.gz", "tar.zst", "dir"] as const)(`random damage to a %s, seed ${SEED}`, (container) => {
  it(`${FLIPS} flipped bits and ${CUTS} truncations are all found beside a sidecar`, async () => {
    victim = await Victim.make(container, seeded(SEED));
    expect(await victim.flip(FLIPS, true)).toEqual({ found: FLIPS, harmless: 0 });
    expect(await victim.truncate(CUTS, true)).toEqual({ found: CUTS, harmless: 0 });
  }, 600_000);

  it(`${FLIPS} flipped bits and ${CUTS} truncations without one are found, or change no byte that comes out`, async () => {
    victim = await Victim.make(container, seeded(SEED));
    victim.removeSidecar();
    const { found, harmless } = await victim.flip(FLIPS, false);
    console.log(`${container}: ${found} flips found, ${harmless} harmless`);
    expect(found + harmless).toBe(FLIPS);
    expect(found).toBeGreaterThan(FLIPS / 2);
    expect(await victim.truncate(CUTS, false)).toEqual({ found: CUTS, harmless: 0 });
  }, 600_000);
});
