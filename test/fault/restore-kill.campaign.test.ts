/** The seed repeats a run: OPSCTL_TEST_SEED. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Sandbox } from "../support/cli.ts";
import { ownRedis } from "../support/servers.ts";
import { seeded } from "./kill-import.ts";
import { endAtRandom } from "./restore-kill.ts";
import { makeScene, type RestoreScene } from "./restore-scene.ts";
import { postgresStore, redisStore, type Store, sqliteStore } from "./restore-stores.ts";

const MIB = 1024 * 1024;
const KILLS = 50;
const STOPS = 20;
const SEED = Number(process.env["OPSCTL_TEST_SEED"] ?? Date.now() % 1_000_000);

const redis = async () =>
  redisStore(await ownRedis(["--repl-diskless-sync-delay", "0", "--appendonly", "yes"]), 20_000);

/** 4 × 50 kills. */
const SUBJECTS: Record<string, (box: Sandbox) => Promise<Store[]>> = {
  postgres: async () => [await postgresStore(8 * MIB)],
  redis: async () => [await redis()],
  sqlite: async (box) => [await sqliteStore(box, 8 * MIB)],
  "the three together": async (box) => [
    await postgresStore(4 * MIB),
    await redis(),
    await sqliteStore(box, 4 * MIB),
  ],
};

describe.each(Object.entries(SUBJECTS))(
  `restore of %s, ended at random points, seed ${SEED}`,
  (name, make) => {
    let scene: RestoreScene;

    beforeAll(async () => {
      scene = await makeScene(make);
    });
    afterAll(() => scene?.drop());

    it(`${KILLS} × SIGKILL: old or new, then wholly the one that is asked for`, async () => {
      const tally = await endAtRandom(scene, ["SIGKILL"], KILLS, seeded(SEED));
      console.log(`${name}, SIGKILL, seed ${SEED}: ${JSON.stringify(tally)}`);
      expect(tally.ended).toBe(KILLS);
      expect(tally.resumed).toBeGreaterThan(0);
      expect(tally.aborted).toBeGreaterThan(0);
    });

    it(`${STOPS} × SIGINT and SIGTERM: the same`, async () => {
      const tally = await endAtRandom(scene, ["SIGINT", "SIGTERM"], STOPS, seeded(SEED));
      console.log(`${name}, SIGINT and SIGTERM, seed ${SEED}: ${JSON.stringify(tally)}`);
      expect(tally.ended).toBe(STOPS);
    });
  },
);
