import { afterAll, beforeAll, describe, it } from "vitest";
import { CASES, check } from "./restore-cases.ts";
import { makeThree, type RestoreScene } from "./restore-scene.ts";

describe("a restore to which something happens", () => {
  let scene: RestoreScene;

  beforeAll(async () => {
    scene = await makeThree();
  });
  afterAll(() => scene?.drop());

  it.each(Object.keys(CASES) as (keyof typeof CASES)[])("%s", (name) => check(scene, name));
});
