import { afterAll, beforeAll, describe, it } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { type OwnRedis, ownRedis } from "../support/servers.ts";
import { postgresSubject } from "./migrate-postgres.ts";
import { redisSubject } from "./migrate-redis.ts";
import { sixRunners, stoppedHolder } from "./migrate-runners.ts";
import { SQLITE_FILES, sqliteSubject } from "./migrate-sqlite.ts";
import type { Subject } from "./migrate-subject.ts";

/** Some time without a commit in the file that runs when the tenth is done: who stops in a commit locks readers out, too. */
const PAUSE =
  "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 2000000) SELECT max(n) FROM c;";
const WITH_PAUSE = SQLITE_FILES.map((file) =>
  file.version === "V011" ? { ...file, up: [{ text: PAUSE }, ...file.up] } : file,
);

describe("several runners of migrate on one database", () => {
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

  async function withSubject(make: () => Promise<Subject>, work: (subject: Subject) => Promise<void>) {
    const subject = await make();
    try {
      await work(subject);
    } finally {
      await subject.drop();
    }
  }

  /** How each engine finds the holder: PostgreSQL by its backend, the others by the process itself. */
  const ENGINES: [string, () => Promise<Subject>, (pid: number) => RegExp][] = [
    ["postgres", () => postgresSubject(box), () => /(backend|pid) \d+ .*opsctl.*\d+ s/],
    ["redis", () => redisSubject(box, redis), (pid) => new RegExp(`\\b${pid}\\b.*\\d+ s`)],
    ["sqlite", async () => sqliteSubject(box, WITH_PAUSE), (pid) => new RegExp(`\\b${pid}\\b.*\\d+ s`)],
  ];

  it.each(ENGINES)("%s: of six one works, and the others find nothing to do", async (_, make) => {
    await withSubject(make, (subject) => sixRunners(box, subject));
  });

  it.each(ENGINES)("%s: a holder that is stopped is named, and goes on later", async (_, make, names) => {
    await withSubject(make, (subject) => stoppedHolder(box, subject, names));
  });
});
