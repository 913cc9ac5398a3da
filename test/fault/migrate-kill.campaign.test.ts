import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { seeded } from "./kill-import.ts";
import { killAtRandom } from "./migrate-kill.ts";
import { neo4jSubject } from "./migrate-neo4j.ts";
import { postgresSubject } from "./migrate-postgres.ts";
import { redisSubject } from "./migrate-redis.ts";
import { sqliteSubject } from "./migrate-sqlite.ts";

const KILLS = 100;
const STOPS = 30;

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

  const ENGINES = [
    { engine: "postgres", make: () => postgresSubject(box), paceMs: 8, startMs: 300 },
    { engine: "redis", make: () => redisSubject(box, redis), paceMs: 8, startMs: 300 },
    { engine: "sqlite", make: async () => sqliteSubject(box), paceMs: 8, startMs: 300 },
    { engine: "neo4j", make: () => neo4jSubject(box), paceMs: 30, startMs: 800 },
  ];

  const seed = Number(process.env["OPSCTL_TEST_SEED"] ?? Date.now() % 1_000_000);

  it.each(ENGINES)(
    `$engine: after ${KILLS} × SIGKILL everything is there once`,
    async ({ engine, ...pace }) => {
      const tally = await killAtRandom({ box, ...pace, random: seeded(seed), kills: KILLS });
      console.log(`${engine}, seed ${seed}: ${JSON.stringify(tally)}`);
      expect(tally.kills).toBe(KILLS);
      expect(tally.broken).toBeGreaterThan(0);
    },
  );

  it.each(ENGINES)(
    `$engine: after ${STOPS} × SIGTERM everything is there once`,
    async ({ engine, ...pace }) => {
      const signal = "SIGTERM";
      const tally = await killAtRandom({ box, ...pace, random: seeded(seed), kills: STOPS, signal });
      console.log(`${engine}, seed ${seed}: ${JSON.stringify(tally)}`);
      expect(tally.kills).toBe(STOPS);
    },
  );
});
