import { afterAll, beforeAll, describe, it } from "vitest";
import { type CASES, check } from "./restore-cases.ts";
import { makeThree, type RestoreScene } from "./restore-scene.ts";

/** One of each kind of the campaign beside it. */
const SAMPLES: readonly (keyof typeof CASES)[] = [
  "the stop command fails: nothing is touched, and what was stopped is started",
  "killed between the swaps of two engines, and aborted",
  "one that is not over: another is refused, with the two ways out",
  "a copy that is damaged: nothing goes back",
  "the last one was undone: the one before it is not taken for it",
  "a part that cannot be swapped: the others go back",
];

describe("a restore to which something happens", () => {
  let scene: RestoreScene;

  beforeAll(async () => {
    scene = await makeThree();
  });
  afterAll(() => scene?.drop());

  it.each(SAMPLES)("%s", (name) => check(scene, name), 120_000);
});
