/** Checks of a server's settings, which Community reads at its start only: a server of their own, started badly, then as the advice says. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Neo4jServer, startNeo4j } from "../../scripts/services/neo4j.ts";
import { freePort } from "../../scripts/services/ports.ts";
import type { Target } from "../../src/config/targets.ts";
import { DEFAULT_THRESHOLDS } from "../../src/config/thresholds.ts";
import { neo4jChecks } from "../../src/engines/neo4j/checks/index.ts";
import { connectNeo4j } from "../../src/engines/neo4j/connect.ts";
import { bind, diagnose } from "../../src/health/doctor/run.ts";
import { testCall } from "../support/calls.ts";
import { LIMITS } from "../support/neo4j.ts";

const dir = join(mkdtempSync(join(tmpdir(), "opsctl-neo4j-")), "home");
let port = 0;
let server: Neo4jServer | undefined;

async function started(settings: Record<string, string>): Promise<Target> {
  await server?.stop();
  server = await startNeo4j({ dir, port, settings, password: "a-password-of-the-test", timeoutMs: 200_000 });
  const { uri, username, password } = server;
  return { engine: "neo4j", url: uri, username, password, database: "neo4j", shown: uri, identity: uri };
}

async function diagnosed(target: Target) {
  const connection = connectNeo4j(target, LIMITS);
  const scope = { connection, target, limits: LIMITS, thresholds: DEFAULT_THRESHOLDS, root: "/" };
  try {
    const checks = neo4jChecks.map((check) => bind(check, scope));
    const { findings, outcomes } = await diagnose(testCall(), [{ engine: "neo4j", checks }]);
    return {
      found: Object.fromEntries(findings.map(({ check, severity }) => [check.id, severity])),
      unknown: outcomes.filter(({ status }) => status === "unknown").map(({ check }) => check.id),
    };
  } finally {
    await connection.close();
  }
}

beforeAll(async () => {
  port = await freePort();
});

afterAll(async () => {
  await server?.stop();
  rmSync(join(dir, ".."), { recursive: true, force: true });
});

test("settings that are bad are found; as the advice says they are not", async () => {
  const bad = await started({
    "server.bolt.listen_address": `0.0.0.0:${port}`,
    "dbms.security.auth_enabled": "false",
    "dbms.security.procedures.unrestricted": "*",
    "db.logs.query.enabled": "OFF",
  });
  expect((await diagnosed(bad)).found).toEqual({
    "neo4j-auth-disabled": "error",
    "neo4j-bolt-unencrypted": "warning",
    "neo4j-unrestricted-procedures": "warning",
    "neo4j-transaction-timeout": "info",
    "neo4j-query-log": "info",
  });

  const good = await started({ "db.transaction.timeout": "30s" });
  expect(await diagnosed(good)).toEqual({ found: {}, unknown: [] });
}, 600_000);
