import { describe, it } from "vitest";
import { useScene } from "./backup-scene.ts";
import { CASES } from "./backup-servers.ts";

/** Some of the campaign beside it. */
const SAMPLES: readonly (keyof typeof CASES)[] = [
  "a wrong password of Redis, beside another engine",
  "postgres: the connection is cut",
  "redis: not a byte comes any more",
  "postgres: its program is killed",
  "the time limit of the command passes: nothing is published",
  "redis: its server is killed",
];

describe("a backup whose servers fail", () => {
  const scene = useScene();

  it.each(SAMPLES)("%s", (name) => CASES[name](scene));
});
