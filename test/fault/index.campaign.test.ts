/** Long runs of what `index-kill.test.ts` samples, and upkeep of a larger file beside processes that write. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { collect } from "../support/cli.ts";
import { killedUpkeep } from "./index-kill.ts";
import {
  checkIndex,
  damage,
  found,
  leftovers,
  outdatedFile,
  place,
  startUpkeep,
  store,
} from "./index-kit.ts";
import { seeded } from "./kill-import.ts";

const ROUNDS = 50;
const KILLS = 4;
const RECORDS = 20_000;
const WRITES = 300;

it.each(["rebuild", "renew"] as const)(`kill -9 during %s, ${ROUNDS * KILLS} times`, async (kind) => {
  const random = seeded(kind === "rebuild" ? 81 : 82);
  for (let round = 0; round < ROUNDS; round += 1) {
    await killedUpkeep(kind, 200 + Math.floor(random() * 1_500), KILLS, random);
  }
  expect.hasAssertions();
});

it.each(["rebuild", "renew"] as const)(
  "two writers during %s: never refused, and the index answers throughout",
  async (kind) => {
    const file = place();
    try {
      if (kind === "renew") outdatedFile(file.path, RECORDS);
      else for (let n = 0; n < RECORDS; n += 2_000) await store(file.path, n, n + 2_000);
      // one write brings the schema of an outdated file up to date
      await store(file.path, RECORDS, RECORDS + 1);
      if (kind === "rebuild") damage(file.path);
      const answers = found(file.path, "refus");
      const upkeep = startUpkeep(file.path, kind);
      await upkeep.begun;
      const writer = join(import.meta.dirname, "writer.ts");
      const writers = ["a", "b"].map((name) =>
        collect(spawn(process.execPath, [writer, file.path, name, String(WRITES)])),
      );
      let isOver = false;
      const all = Promise.all([upkeep.ended, ...writers]).finally(() => {
        isOver = true;
      });
      while (!isOver) {
        expect(found(file.path, "refus")).toBeGreaterThanOrEqual(answers);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      for (const ended of await all) expect(ended).toMatchObject({ code: 0, stderr: "" });
      expect(checkIndex(file.path)).toBe(0);
      expect(leftovers(file.path)).toEqual([]);
    } finally {
      file.remove();
    }
  },
);
