import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startPostgres } from "../../scripts/services/postgres.ts";
import { startRedis } from "../../scripts/services/redis.ts";
import { Sandbox } from "../support/cli.ts";
import { seeded } from "./kill-import.ts";
import { postgresSubject } from "./migrate-postgres.ts";
import { redisSubject } from "./migrate-redis.ts";
import { killServer } from "./migrate-servers.ts";

const KILLS = 1;

describe("migrate, when its server is killed in the middle of a run and comes back", () => {
  let box: Sandbox;
  let dir: string;

  beforeEach(() => {
    box = new Sandbox({ shared: true });
    dir = mkdtempSync(join(tmpdir(), "opsctl-server-"));
    // PostgreSQL does not run as root: its user must get to its data
    chmodSync(dir, 0o711);
  });
  afterEach(() => {
    box.remove();
    rmSync(dir, { recursive: true, force: true });
  });

  it("postgres", async () => {
    let server = await startPostgres({ dir, fsync: false });
    try {
      const subject = await postgresSubject(box, { url: server.url, drop: async () => {} });
      const kill = () => process.kill(server.pid, "SIGKILL");
      const { port, password } = server;
      const restart = async () => {
        server = await startPostgres({ dir, fsync: false, port, password });
      };
      const tally = await killServer(box, { subject, kill, restart }, KILLS, seeded(11));
      expect(tally.kills).toBe(KILLS);
    } finally {
      await server.stop();
    }
  });

  it("redis, which writes an append-only file", async () => {
    const args = ["--appendonly", "yes"];
    let server = await startRedis({ dir, args });
    try {
      const subject = await redisSubject(box, server);
      const kill = () => process.kill(server.pid, "SIGKILL");
      const { port, password } = server;
      const restart = async () => {
        server = await startRedis({ dir, args, port, password });
      };
      const tally = await killServer(box, { subject, kill, restart }, KILLS, seeded(12));
      expect(tally.kills).toBe(KILLS);
    } finally {
      await server.stop();
    }
  });
});
