import { expect, it } from "vitest";
import { killedUpkeep } from "./index-kill.ts";
import { seeded } from "./kill-import.ts";

const random = seeded(8);

it.each(["rebuild", "renew"] as const)(
  "kill -9 during %s: the index answers, the next run finishes it",
  async (kind) => {
    await killedUpkeep(kind, 400, 1, random);
    expect.hasAssertions();
  },
);
