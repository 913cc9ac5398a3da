/** Random damage to archives that are restored; the seed repeats a run: OPSCTL_TEST_SEED. */
import { randomInt } from "node:crypto";
import { afterEach, beforeEach, describe, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { seeded } from "./kill-import.ts";
import { cutOff, flipBits, makeTarget } from "./restore-damage.ts";

const SEED = Number(process.env["OPSCTL_TEST_SEED"] ?? randomInt(1, 2 ** 31));
/** 1,000 and 200. */
const SAMPLES = [
  { container: "tar.gz", flips: 400, cuts: 80 },
  { container: "tar.zst", flips: 400, cuts: 80 },
  { container: "dir", flips: 200, cuts: 40 },
] as const;

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox({ shared: true });
});
afterEach(() => box.remove());

describe.each(SAMPLES)(`restore of a damaged $container, seed ${SEED}`, ({ container, flips, cuts }) => {
  it(`refuses ${flips} flipped bits`, async () => {
    await flipBits(await makeTarget(box, container), flips, seeded(SEED));
  });

  it(`refuses ${cuts} truncations`, async () => {
    await cutOff(await makeTarget(box, container), cuts, seeded(SEED));
  });
});
