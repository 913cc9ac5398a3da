import { describe, it } from "vitest";
import { useScene } from "./backup-scene.ts";
import { CASES } from "./backup-servers.ts";

describe("a backup whose servers fail", () => {
  const scene = useScene();

  it.each(Object.entries(CASES))("%s", (_, check) => check(scene));
});
