/** `doctor` over all four engines: a clean stack is left in peace; trouble in several places at once is found, and what is safe is mended. */
import { chmodSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { askPostgres } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { HostRoot } from "../support/doctor-host.ts";
import { type Stack, startStack } from "../support/stack.ts";
import { ownPostgres } from "./postgres-checks-kit.ts";

interface Finding {
  check: string;
  severity: string;
  subject: string;
  fixed: boolean;
  remedies: Remedy[];
}
interface Remedy {
  result: string | null;
}

let box: Sandbox;
let host: HostRoot;
let stack: Stack;
let env: Record<string, string>;

beforeAll(async () => {
  box = new Sandbox();
  // what else runs on this machine is no part of the stack
  host = new HostRoot();
  // one that the checks of its settings can be content with
  stack = await startStack(box, async () => {
    const { server, remove } = await ownPostgres([]);
    return { url: server.url, drop: remove };
  });
  env = { ...stack.env, OPSCTL_HOST_ROOT: host.dir };
});
afterAll(async () => {
  await stack?.stop();
  host?.remove();
  box?.remove();
});

const report = (code: number, ...args: string[]) => box.json("doctor", ["doctor", ...args], { env, code });
const above = (findings: Finding[]) =>
  findings.filter(({ severity }) => severity !== "info").map(({ check, severity }) => `${severity} ${check}`);

describe("a stack that init has just made", () => {
  it("has no finding above info, and every check could look or says why not", async () => {
    const data = await report(0);
    expect(above(data["findings"])).toEqual([]);
    expect(data["counts"]).toMatchObject({ error: 0, warning: 0 });
    const skipped = data["checks"].filter(({ status }: { status: string }) => status === "skipped");
    expect(skipped).toEqual([]);
    for (const { status, reason } of data["checks"]) expect(reason !== null).toBe(status === "unknown");
    const areas = new Set(data["checks"].map(({ area }: { area: string }) => area));
    for (const area of ["neo4j", "postgres", "redis", "stack", "backup", "host"])
      expect(areas).toContain(area);
  });

  it("so has the embedded file", async () => {
    const own = { OPSCTL_HOST_ROOT: host.dir };
    await box.ok(["remember", "issue:a", "fixed"], { env: own });
    const data = await box.json("doctor", ["doctor"], { env: own });
    expect(above(data["findings"])).toEqual([]);
  });
});

describe("trouble in three engines, and one of them gone", () => {
  it("is found in one run; --fix mends what is safe; the rest stays with exit 4", async () => {
    const redis = new Redis(stack.redis.url);
    try {
      // PostgreSQL: what two failed CREATE INDEX CONCURRENTLY left; the row that stopped the first is gone meanwhile
      const ask = (sql: string) => askPostgres(stack.postgres.url, sql);
      await ask("CREATE TABLE doctor_orders (n int); INSERT INTO doctor_orders VALUES (0), (1), (1)");
      const create = (kind: string, name: string, on: string) =>
        ask(`CREATE ${kind} CONCURRENTLY ${name} ON doctor_orders (${on})`);
      await expect(create("INDEX", "doctor_share", "(100 / n)")).rejects.toThrow("division by zero");
      await expect(create("UNIQUE INDEX", "doctor_once", "n")).rejects.toThrow("could not create unique");
      await ask("DELETE FROM doctor_orders WHERE n = 0");
      const invalid = `SELECT c.relname AS name FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE NOT i.indisvalid ORDER BY 1`;
      expect(await ask(invalid)).toEqual([{ name: "doctor_once" }, { name: "doctor_share" }]);
      // Redis: no limit, and nothing on disk; the host: a file that others can read
      await redis.config("SET", "maxmemory", "0", "appendonly", "no");
      await box.ok(["backup", "postgres"], { env });
      const archive = (await box.json("backup list", ["backup", "list"], { env }))["backups"][0].path;
      chmodSync(archive, 0o644);
      chmodSync(dirname(archive), 0o755);
      await stack.neo4j.proxy.down();

      const seen = await report(4);
      expect(seen["status"]).toBe("error");
      const checks = seen["findings"].map(({ check }: Finding) => check);
      expect(checks).toContain("connection-refused");
      expect(checks).toContain("backup-folder-mode");
      expect(checks).toContain("postgres-invalid-index");
      expect(checks).toContain("redis-settings");
      expect(checks).toContain("redis-persistence-off");
      const graph = seen["checks"].filter(({ area }: { area: string }) => area === "neo4j");
      expect(new Set(graph.map(({ status }: { status: string }) => status))).toEqual(new Set(["skipped"]));
      expect(seen["degraded"]).toMatchObject([{ engine: "neo4j", code: "unreachable" }]);

      const mended = await report(4, "--fix", "--yes");
      const named = (isFixed: boolean): string[] =>
        mended["findings"]
          .filter(({ fixed }: Finding) => fixed === isFixed)
          .map(({ check }: Finding) => check);
      expect(named(true)).toEqual(expect.arrayContaining(["backup-folder-mode", "postgres-invalid-index"]));
      expect(await ask(invalid)).toEqual([{ name: "doctor_once" }]);
      expect(statSync(archive).mode & 0o777).toBe(0o600);
      // gone by another look, too; values that occur twice are for a person to decide on
      const again = await report(4, ...named(true), "--min-severity", "warning");
      expect(again["findings"].map(({ subject }: Finding) => subject)).toEqual(["index public.doctor_once"]);
      // what no command mends is still there, and so is what a person decides: settings of a server stay for good
      const left = [
        "connection-refused",
        "postgres-invalid-index",
        "redis-settings",
        "redis-persistence-off",
      ];
      expect(named(false)).toEqual(expect.arrayContaining(left));
      for (const { check, remedies } of mended["findings"]) {
        if (check.startsWith("redis-"))
          expect(remedies.map(({ result }: Remedy) => result)).not.toContain("done");
      }
      expect(await redis.config("GET", "appendonly")).toEqual(["appendonly", "no"]);
    } finally {
      redis.disconnect();
      await stack.neo4j.proxy.up();
    }
    await expect.poll(async () => (await box.run(["doctor", "connection"], { env })).code).toBe(0);
  });
});
