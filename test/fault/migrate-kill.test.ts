import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { seeded } from "./kill-import.ts";
import { killAtRandom } from "./migrate-kill.ts";
import { postgresSubject } from "./migrate-postgres.ts";
import { redisSubject } from "./migrate-redis.ts";
import { sqliteSubject } from "./migrate-sqlite.ts";

const KILLS = 20;

/** Samples of migrate-kill.campaign.test.ts. */
describe("migrate, killed with SIGKILL at random points of a run of fifty files", () => {
  let box: Sandbox;
  let redis: OwnRedis;

  beforeAll(async () => {
    box = new Sandbox();
    redis = await ownRedis();
  });
  afterAll(async () => {
    await redis.stop();
    box.remove();
  });

  const makers = {
    postgres: () => postgresSubject(box),
    redis: () => redisSubject(box, redis),
    sqlite: async () => sqliteSubject(box),
  };

  it.each(Object.entries(makers))(
    `%s: after ${KILLS} kills everything is there once`,
    async (_, make) => {
      const tally = await killAtRandom({
        box,
        make,
        random: seeded(7),
        kills: KILLS,
        paceMs: 8,
        startMs: 300,
      });
      expect(tally.kills).toBe(KILLS);
    },
    120_000,
  );
});
