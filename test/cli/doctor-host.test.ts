import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox } from "../support/cli.ts";
import { HostRoot, meminfo } from "../support/doctor-host.ts";

const PASSWORD = "0c5b1f9ad27e48836ab4d1c0";

let sandbox: Sandbox;
let host: HostRoot;
beforeEach(() => {
  sandbox = new Sandbox();
  host = new HostRoot();
});
afterEach(() => {
  sandbox.remove();
  host.remove();
});

const env = () => ({ OPSCTL_HOST_ROOT: host.dir });

interface Reported {
  check: string;
  severity: string;
  subject: string;
}

test("a healthy host has nothing above info", async () => {
  const report = await sandbox.json("doctor", ["doctor", "host", "security", "tools"], {
    env: env(),
  });
  expect(report["findings"].filter(({ severity }: Reported) => severity !== "info")).toEqual([]);
  expect(report["counts"]).toMatchObject({ error: 0, warning: 0, unknown: 0 });
  expect(report["checks"].length).toBeGreaterThan(20);
});

test("what is wrong with the host is found below another root; the safe part is mended; no secret is shown", async () => {
  sandbox.file("opsctl.toml", "[default]\nredis_db = 0\n");
  const dotenv = join(sandbox.cwd, ".env");
  writeFileSync(dotenv, `REDIS_PASSWORD=${PASSWORD}\n`, { mode: 0o644 });
  host.write("proc/meminfo", meminfo({ MemTotal: 1000, MemAvailable: 10 }));
  host.process(4711, { args: ["redis-cli", "-a", PASSWORD, "MONITOR"] });
  const { code, stdout, stderr } = await sandbox.run(["doctor", "host", "security", "--json"], {
    env: env(),
  });
  expect(code).toBe(4);
  expect(stdout + stderr).not.toContain(PASSWORD);
  const found: Reported[] = JSON.parse(stdout).findings;
  expect(found.map(({ check, severity, subject }) => [check, severity, subject])).toEqual([
    ["host-memory", "error", "memory of this host"],
    ["security-process-passwords", "warning", "process 4711 (redis-cli)"],
    ["security-file-modes", "warning", dotenv],
  ]);

  const mended = await sandbox.run(["doctor", "security-file-modes", "--fix", "--yes", "--json"], {
    env: env(),
  });
  expect(JSON.parse(mended.stdout).findings).toMatchObject([{ subject: dotenv, fixed: true }]);
  expect(mended.code).toBe(0);
  expect(statSync(dotenv).mode & 0o777).toBe(0o600);
});
