import { chmodSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Check } from "../../../../src/health/doctor/check.ts";
import { hostChecks } from "../../../../src/health/doctor/checks/host.ts";
import type { StackScope } from "../../../../src/health/doctor/scope.ts";
import { findings, HostRoot, hostScope, report, target } from "../../../support/doctor-host.ts";

let host: HostRoot;
beforeEach(() => {
  host = new HostRoot();
});
afterEach(() => host.remove());

const check = (id: string) => hostChecks.find((one) => one.id === id) as Check<StackScope>;
const NAMES = ["pg_dump", "pg_restore", "pg_dumpall", "psql"];

/** A program that prints a version. */
function install(name: string, said: string): void {
  chmodSync(host.write(`bin/${name}`, `#!/bin/sh\necho '${said}'\n`), 0o755);
}
function installPostgres(version: string): void {
  for (const name of NAMES) install(name, `${name} (PostgreSQL) ${version} (Debian ${version}-1.pgdg120+1)`);
}
function scope(engine: "postgres" | "redis" | "neo4j", version: string | null): StackScope {
  const url = {
    postgres: "postgresql://u@localhost/d",
    redis: "redis://localhost/0",
    neo4j: "bolt://localhost",
  }[engine];
  return hostScope(host, {
    targets: [target(engine, url)],
    engines: [report(engine, version)],
  });
}

test("tools-missing: each that is not there, until it is", async () => {
  const of = () => findings(check("tools-missing"), scope("postgres", "16.4"));
  expect((await of()).map(({ subject, severity }) => [subject, severity])).toEqual([
    ["pg_dump", "warning"],
    ["pg_restore", "warning"],
    ["pg_dumpall", "warning"],
    ["psql", "info"],
  ]);
  install("pg_dump", "pg_dump (PostgreSQL) 16.4");
  const found = await of();
  expect(found.map(({ subject }) => subject)).toEqual(["pg_restore", "pg_dumpall", "psql"]);
  expect(found[0]!.advice).toContain("apt-get install postgresql-client-16");
  installPostgres("16.4");
  expect(await of()).toEqual([]);
});

test.each([
  ["15.18", "16.4", ["warning", "warning", "warning", "info"]],
  ["9.6.24", "10.1", ["warning", "warning", "warning", "info"]],
  ["16.1", "16.4", []],
  ["18beta1", "16.4", []],
  ["15.18", null, []],
])("tools-older: %s here, server %s", async (version, server, severities) => {
  installPostgres(version);
  const found = await findings(check("tools-older"), scope("postgres", server));
  expect(found.map(({ severity }) => severity)).toEqual(severities);
  if (found.length === 0) return;
  expect(found[0]!.evidence).toBe(
    `it is version ${version}, and the server is version ${server!.split(".")[0]}`,
  );
  installPostgres(server!);
  expect(await findings(check("tools-older"), scope("postgres", server))).toEqual([]);
});

test.each([
  ["18.6", 1],
  ["18.7", 0],
  ["17.11", 1],
  ["17.12", 0],
  ["16.16", 0],
  ["15.18", 1],
  ["15.20", 0],
  ["14.25", 0],
  ["14.9", 1],
  ["13.23", 1],
  ["19.0", 0],
])("tools-vulnerable: pg_restore %s", async (version, count) => {
  installPostgres(version);
  const found = await findings(check("tools-vulnerable"), scope("postgres", "13.0"));
  expect(found.map(({ severity }) => severity)).toEqual(Array(count).fill("info"));
});

test.each([
  ["redis", "redis-cli", "redis-cli 6.2.6 (git:x)", "redis-cli 7.4.1", "7.0.15"],
  ["redis", "redis-server", "Redis server v=6.2.6 sha=0", "Redis server v=7.2.6 sha=0", "7.0.15"],
  ["neo4j", "cypher-shell", "Cypher-Shell 4.4.12", "Cypher-Shell 5.26.1", "5.26.0"],
  ["neo4j", "neo4j-admin", "4.4.12", "2025.1.0", "5.26.0"],
] as const)("tools-older-others: %s %s", async (engine, name, old, current, server) => {
  install(name, old);
  const of = () => findings(check("tools-older-others"), scope(engine, server));
  expect(await of()).toMatchObject([{ severity: "info", subject: name }]);
  install(name, current);
  expect(await of()).toEqual([]);
});

describe("without PostgreSQL", () => {
  test.each(["tools-missing", "tools-older", "tools-vulnerable"])("%s asks for nothing", async (id) => {
    expect(await findings(check(id), scope("redis", "7.0.15"))).toEqual([]);
  });
});
