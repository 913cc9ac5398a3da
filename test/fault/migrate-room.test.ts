/** `migrate` where there is no room: a disk that is full, a Redis that evicts. */
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { collect, Sandbox } from "../support/cli.ts";
import { ownRedis } from "../support/servers.ts";
import { commandLine } from "./migrate-kill.ts";
import { row } from "./migrate-sql-files.ts";
import { sqliteSubject } from "./migrate-sqlite.ts";
import { type MarkedFile, numbers, versionOf, writeFiles } from "./migrate-subject.ts";
import { checkTruth, checkWhole } from "./migrate-truth.ts";

describe("migrate without room", () => {
  let box: Sandbox;

  beforeEach(() => {
    box = new Sandbox({ shared: true });
  });
  afterEach(() => box.remove());

  /** Each file adds 200 KiB. */
  const LARGE: readonly MarkedFile[] = numbers(10).map((number) => {
    const version = versionOf(number);
    const content = { text: "INSERT INTO content VALUES (randomblob(204800));" };
    const make = [
      { text: "CREATE TABLE ledger (mark text NOT NULL);", adds: "ledger" },
      { text: "CREATE TABLE content (bytes blob);", adds: "content" },
    ];
    return {
      version,
      up: [...(number === 1 ? make : []), row(`${version} first`), content, row(`${version} last`)],
      down: [],
    };
  });

  it("sqlite: a full disk rolls the file back, says so, and the run goes on when there is room", async () => {
    const subject = sqliteSubject(box, LARGE);
    // the kernel refuses to let any file grow past 1 MiB (bash counts in KiB)
    const full = await box.shell(
      `trap '' XFSZ; ulimit -f 1024; opsctl ${commandLine(subject, "up").join(" ")}`,
    );
    expect(full.code).toBe(1);
    expect(full.stderr).toMatch(/app\.db/);
    expect(full.stderr).toMatch(/^Try: ./m);
    const { applied, broken } = await checkTruth(box, subject);
    expect({ isMidway: applied > 0 && applied < 10, broken }).toEqual({ isMidway: true, broken: 0 });
    expect(full.stdout.trimEnd().split("\n")).toHaveLength(applied);
    await box.ok(commandLine(subject, "up"));
    await checkWhole(box, subject);
  });

  it("redis: eviction under allkeys-lru takes neither the history nor the lock, and each command runs once", async () => {
    const server = await ownRedis(["--maxmemory", "8mb", "--maxmemory-policy", "allkeys-lru"]);
    const [filler, listener] = [new Redis(server.url), new Redis(server.url)];
    try {
      // what is told to a listener cannot be evicted
      const told: string[] = [];
      await listener.subscribe("ledger");
      listener.on("message", (_, message) => told.push(message));
      const files = numbers().map((number): MarkedFile => {
        const version = versionOf(number);
        const texts = [`PUBLISH ledger ${version}.1`, `SET key:${version} a`, `PUBLISH ledger ${version}.3`];
        return { version, up: texts.map((text) => ({ text })), down: [] };
      });
      writeFiles(box, "redis", files);
      const env = { REDIS_URL: server.url };
      const run = collect(box.start(["migrate", "up", "redis"], { env }));
      let isOver = false;
      const ended = run.finally(() => {
        isOver = true;
      });
      for (let batch = 0; !isOver || batch < 30; batch += 1) await fill(filler, batch);
      const ran = await ended;
      expect(ran.code, ran.stderr).toBe(0);
      expect(Number(/evicted_keys:(\d+)/.exec(await filler.info("stats"))?.[1])).toBeGreaterThan(0);
      const args = ["migrate", "status", "redis", "--exit-code"];
      const { engines } = await box.json("migrate status", args, { env });
      expect(engines[0]).toMatchObject({ applied: files.length, pending: 0, problems: 0 });
      expect(await box.run(["migrate", "up", "redis"], { env })).toMatchObject({ code: 0, stdout: "" });
      expect(told).toEqual(files.flatMap(({ version }) => [`${version}.1`, `${version}.3`]));
    } finally {
      filler.disconnect();
      listener.disconnect();
      await server.stop();
    }
  });

  /** 1,000 keys of 1 KB. */
  async function fill(client: Redis, batch: number): Promise<void> {
    const pipeline = client.pipeline();
    for (let n = 0; n < 1_000; n += 1) pipeline.set(`filler:${batch}:${n}`, "x".repeat(1_000));
    await pipeline.exec();
  }
});
