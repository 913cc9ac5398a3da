import { afterAll, beforeAll, describe, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { postgresSubject } from "./migrate-postgres.ts";
import { redisSubject } from "./migrate-redis.ts";
import { sixRunners, stoppedHolder } from "./migrate-runners.ts";
import { sqliteSubject } from "./migrate-sqlite.ts";
import type { Subject } from "./migrate-subject.ts";

describe("several runners of migrate on one database", () => {
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

  async function withSubject(make: () => Promise<Subject>, work: (subject: Subject) => Promise<void>) {
    const subject = await make();
    try {
      await work(subject);
    } finally {
      await subject.drop();
    }
  }

  const ENGINES: [string, () => Promise<Subject>][] = [
    ["postgres", () => postgresSubject(box)],
    ["redis", () => redisSubject(box, redis)],
    ["sqlite", async () => sqliteSubject(box)],
  ];

  it.each(ENGINES)("%s: of six one works, and the others find nothing to do", async (_, make) => {
    await withSubject(make, (subject) => sixRunners(box, subject));
  });

  // those of the others: redis-migrations-lock.test.ts, sqlite-lock.test.ts and, for Neo4j, the campaign
  it("postgres: a holder that is stopped is named by its backend, and goes on later", async () => {
    const names = () => /(backend|pid) \d+ .*opsctl.*\d+ s/;
    await withSubject(ENGINES[0]![1], (subject) => stoppedHolder(box, subject, names));
  });
});
