/** Upkeep of an index that is killed, again and again, while another process writes. */
import { expect } from "vitest";
import { until } from "../support/cli.ts";
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

/**
 * Kills upkeep after a random number of milliseconds from its first step, checks what it left, and lets the next one finish.
 * @param kills how many processes are killed before
 */
export async function killedUpkeep(
  kind: "rebuild" | "renew",
  records: number,
  kills: number,
  random: () => number,
): Promise<void> {
  const file = place();
  try {
    if (kind === "renew") outdatedFile(file.path, records);
    else {
      await store(file.path, 0, records);
      damage(file.path);
    }
    const answers = found(file.path, "refus");
    for (let kill = 0; kill < kills; kill += 1) {
      const { begun, ended, kill: end } = startUpkeep(file.path, kind);
      await begun;
      const endAt = performance.now() + random() * records * 0.4;
      let isOver = false;
      void ended.then(() => {
        isOver = true;
      });
      await until("its time has come", () => isOver || performance.now() >= endAt);
      end();
      expect((await ended).stderr).toBe("");
      // a whole index answers: the old one, or the new
      expect(found(file.path, "refus")).toBeGreaterThanOrEqual(answers + kill);
      checkIndex(file.path, { whole: kind === "renew" });
      await store(file.path, records + kill, records + kill + 1);
    }
    expect(await startUpkeep(file.path, kind).ended).toEqual({ code: 0, stderr: "" });
    expect(checkIndex(file.path)).toBe(0);
    expect(found(file.path, "refus")).toBe(records + kills);
    expect(leftovers(file.path)).toEqual([]);
  } finally {
    file.remove();
  }
}
