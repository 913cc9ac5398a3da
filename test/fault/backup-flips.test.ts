/** A sample of the campaign beside it. */
import { afterEach, describe, expect, it } from "vitest";
import { Victim } from "./backup-flips.ts";
import { seeded } from "./kill-import.ts";

const SEED = 5;
/** 100 flips and 20 truncations, with a sidecar and without. */
const SAMPLES = [
  { container: "tar.gz", flips: 40, cuts: 8 },
  { container: "tar.zst", flips: 40, cuts: 8 },
  { container: "dir", flips: 20, cuts: 4 },
] as const;

let victim: Victim;
afterEach(() => victim.remove());

describe.each(SAMPLES)(`random damage to a $container, seed ${SEED}`, ({ container, flips, cuts }) => {
  it(`${flips} flipped bits and ${cuts} truncations are all found beside a sidecar`, async () => {
    victim = await Victim.make(container, seeded(SEED));
    expect(await victim.flip(flips, true)).toEqual({ found: flips, harmless: 0 });
    expect(await victim.truncate(cuts, true)).toEqual({ found: cuts, harmless: 0 });
  });

  it(`${flips} flipped bits and ${cuts} truncations without one are found, or change no byte that comes out`, async () => {
    victim = await Victim.make(container, seeded(SEED));
    victim.removeSidecar();
    const { found, harmless } = await victim.flip(flips, false);
    expect(found + harmless).toBe(flips);
    expect(found).toBeGreaterThan(flips / 2);
    expect(await victim.truncate(cuts, false)).toEqual({ found: cuts, harmless: 0 });
  });
});
