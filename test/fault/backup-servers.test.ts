import { describe, it } from "vitest";
import { useScene } from "./backup-scene.ts";
import { CASES } from "./backup-servers.ts";

/** One of each kind of the campaign beside it. */
const SAMPLES: readonly (keyof typeof CASES)[] = [
  "a closed port of Neo4j, alone",
  "a wrong password of PostgreSQL, alone",
  "a wrong password of Redis, beside another engine",
  "a silent PostgreSQL, beside another engine",
  "none of two answers",
  "postgres: the connection is cut",
  "redis: not a byte comes any more",
  "postgres: its program is killed",
  "postgres: its program is frozen, and ended by the watchdog",
  "postgres: a table that is locked for longer than that is waited for",
  "the time limit of the command passes: nothing is published",
  "redis: its server is killed",
];

describe("a backup whose servers fail", () => {
  const scene = useScene();

  it.each(SAMPLES)("%s", (name) => CASES[name](scene));
});
