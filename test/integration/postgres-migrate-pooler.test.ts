/** Migrations through a real PgBouncer. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import { type PgbouncerServer, startPgbouncer } from "../../scripts/services/pgbouncer.ts";
import { postgresMigrations } from "../../src/engines/postgres/migrations.ts";
import { testCall } from "../support/calls.ts";
import { failure, file, MigrationBench } from "../support/postgres-migrations.ts";

const dir = mkdtempSync(join(tmpdir(), "opsctl-pgbouncer-"));
const poolers: Partial<Record<"session" | "transaction" | "statement", PgbouncerServer>> = {};
let bench: MigrationBench;

beforeAll(async () => {
  // for root another user runs it
  chmodSync(dir, 0o711);
  bench = await MigrationBench.start();
  for (const mode of ["session", "transaction", "statement"] as const) {
    poolers[mode] = await startPgbouncer({ dir: join(dir, mode), upstream: bench.url, mode });
  }
});
afterAll(async () => {
  await bench?.stop();
  await Promise.all(Object.values(poolers).map((pooler) => pooler.stop()));
  rmSync(dir, { recursive: true, force: true });
});
beforeEach(() => bench.empty());

const behind = async (mode: keyof typeof poolers) =>
  postgresMigrations(await bench.open({ port: poolers[mode]!.port }));

describe("PgBouncer as its package sets it up", () => {
  test.each(["transaction", "statement"] as const)(
    "in %s mode is refused before anything is written",
    async (mode) => {
      const error = await failure(bench.migrate([file(1, "CREATE TABLE a ()")], {}, await behind(mode)));
      expect(error).toMatchObject({
        code: "failed",
        hint: expect.stringContaining("MIGRATION_DATABASE_URL"),
      });
      expect(error.message).toContain(
        `127.0.0.1:${poolers[mode]!.port} is behind a pooler that lends its backends`,
      );
      expect(
        await bench.value("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
      ).toBe(0);
      // the lock alone is refused, too
      const locked = await failure((await behind(mode)).exclusively(testCall(), 0, async () => {}));
      expect(locked.hint).toContain("MIGRATION_DATABASE_URL");
    },
  );

  it("in transaction mode answers what history says", async () => {
    await bench.migrate([file(1, "CREATE TABLE a ()")]);
    const target = await behind("transaction");
    expect(await target.history(testCall())).toMatchObject([{ version: "V001", state: "applied" }]);
    expect(await bench.migrate([file(1, "CREATE TABLE a ()")], {}, target)).toEqual([]);
  });

  it("in session mode runs files, and the lock holds", async () => {
    const target = await behind("session");
    const files = [file(1, "SET search_path = pg_temp; CREATE TABLE a ()"), file(2, "CREATE TABLE b ()")];
    expect(await bench.migrate(files, {}, target)).toHaveLength(2);
    expect(await bench.value("SELECT to_regclass('public.b') IS NOT NULL")).toBe(true);
    const other = await behind("session");
    await target.exclusively(testCall(), 0, async () => {
      expect((await failure(other.exclusively(testCall(), 0, async () => {}))).code).toBe("locked");
    });
    expect(await other.exclusively(testCall(), 5_000, async () => "free again")).toBe("free again");
  });

  it("in session mode names who is waited for by their real backend", async () => {
    await bench.migrate([file(1, "CREATE TABLE a (x int)")]);
    const release = await bench.hold("LOCK TABLE a");
    const files = [file(1, "CREATE TABLE a (x int)"), file(2, "ALTER TABLE a ADD y int")];
    const error = await failure(
      bench.migrate(files, { limits: { lockTimeoutMs: 150 } }, await behind("session")),
    );
    expect(error.message).toMatch(
      /it waited for backend \d+ \(opsctl, from 127\.0\.0\.1, idle in transaction/,
    );
    await release();
  });
});
