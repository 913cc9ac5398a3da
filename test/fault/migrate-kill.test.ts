import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { seeded } from "./kill-import.ts";
import { killAtRandom } from "./migrate-kill.ts";
import { postgresSubject } from "./migrate-postgres.ts";
import { redisSubject } from "./migrate-redis.ts";
import { sqliteSubject } from "./migrate-sqlite.ts";

/** Of each engine; Neo4j is in migrate-kill-neo4j.test.ts. */
const KILLS = 1;
const STOPS = 1;

/** Samples of migrate-kill.campaign.test.ts. */
describe("migrate, ended at random points of a run of fifty files", () => {
  let box: Sandbox;
  let redis: OwnRedis;

  beforeAll(async () => {
    box = new Sandbox({ shared: true });
    redis = await ownRedis();
  });
  afterAll(async () => {
    await redis.stop();
    box.remove();
  });

  const MAKERS = {
    postgres: () => postgresSubject(box),
    redis: () => redisSubject(box, redis),
    sqlite: async () => sqliteSubject(box),
  };
  const PACE = { paceMs: 8, startMs: 300 };

  it.each(Object.entries(MAKERS))(
    `%s: after ${KILLS} × SIGKILL everything is there once`,
    async (_, make) => {
      const tally = await killAtRandom({ box, make, random: seeded(7), kills: KILLS, ...PACE });
      expect(tally.kills).toBe(KILLS);
    },
    120_000,
  );

  it.each(Object.entries(MAKERS))(
    `%s: after ${STOPS} × SIGTERM everything is there once`,
    async (_, make) => {
      const signal = "SIGTERM";
      const tally = await killAtRandom({ box, make, random: seeded(8), kills: STOPS, signal, ...PACE });
      expect(tally.kills).toBe(STOPS);
    },
    120_000,
  );
});
