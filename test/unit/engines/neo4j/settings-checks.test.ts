/** Checks of Neo4j that need no more than its settings and figures: a test cannot change those of a running Community server. */
import { describe, expect, test } from "vitest";
import {
  heapFindings,
  memoryFindings,
  pageCacheFindings,
} from "../../../../src/engines/neo4j/checks/memory.ts";
import { authFindings, boltFindings, httpFindings } from "../../../../src/engines/neo4j/checks/network.ts";
import {
  queryLog,
  readOnly,
  transactionTimeout,
  unrestrictedProcedures,
} from "../../../../src/engines/neo4j/checks/settings.ts";
import { bytesOf, excerpt } from "../../../../src/engines/neo4j/server-facts.ts";

const known = (settings: Record<string, string>) => new Map(Object.entries(settings));
const severities = (found: { severity: string }[]) => found.map(({ severity }) => severity);
const MIB = 2 ** 20;

test.each([
  ["64.00MiB", 64 * MIB],
  ["512m", 512 * MIB],
  ["2g", 2 ** 31],
  ["0B", 0],
  ["8388608", 8388608],
  ["512.00KiB", 512 * 1024],
  [undefined, null],
  ["No Value", null],
])("a size of the settings: %s", (value, bytes) => {
  expect(bytesOf(value)).toBe(bytes);
});

test("a query is one line of 120 characters", () => {
  expect(excerpt(" MATCH\n  (n)\tRETURN n ")).toBe("MATCH (n) RETURN n");
  expect(excerpt("x".repeat(121))).toBe(`${"x".repeat(119)}…`);
});

describe("Bolt without TLS", () => {
  const bolt = (listen: string, level: string, given = "localhost") =>
    known({
      "server.bolt.listen_address": listen,
      "server.bolt.tls_level": level,
      "server.default_listen_address": given,
    });
  test.each([
    [bolt("127.0.0.1:7687", "DISABLED"), true, []],
    [bolt("localhost:7687", "DISABLED"), true, []],
    [bolt("[::1]:7687", "DISABLED"), true, []],
    [bolt(":7687", "DISABLED"), true, []],
    [bolt(":7687", "DISABLED", "0.0.0.0"), true, ["warning"]],
    [bolt("0.0.0.0:7687", "DISABLED"), true, ["warning"]],
    [bolt("10.1.2.3:7687", "DISABLED"), true, ["warning"]],
    [bolt("0.0.0.0:7687", "DISABLED"), false, ["info"]],
    [bolt("0.0.0.0:7687", "OPTIONAL"), true, ["info"]],
    [bolt("0.0.0.0:7687", "REQUIRED"), true, []],
  ])("%o, published %s: %j", (settings, published, expected) => {
    expect(severities(boltFindings(settings, published))).toEqual(expected);
  });
});

describe("HTTP beyond loopback", () => {
  test.each([
    ["127.0.0.1:7474", "true", []],
    ["0.0.0.0:7474", "true", ["warning"]],
    ["0.0.0.0:7474", "false", []],
  ])("%s, enabled %s: %j", (address, enabled, expected) => {
    const settings = known({ "server.http.listen_address": address, "server.http.enabled": enabled });
    expect(severities(httpFindings(settings, true))).toEqual(expected);
  });
});

test.each([
  ["true", true, []],
  ["false", true, ["error"]],
  ["false", false, ["warning"]],
])("auth_enabled %s, open %s: %j", (enabled, isOpen, expected) => {
  const settings = known({ "dbms.security.auth_enabled": enabled });
  expect(severities(authFindings(settings, isOpen))).toEqual(expected);
});

describe("single settings: planted, and as the advice says", () => {
  test.each([
    [transactionTimeout, "db.transaction.timeout", "0s", "30s"],
    [queryLog, "db.logs.query.enabled", "OFF", "INFO"],
    [readOnly, "server.databases.default_to_read_only", "true", "false"],
    [readOnly, "server.databases.read_only", "neo4j", ""],
    [unrestrictedProcedures, "dbms.security.procedures.unrestricted", "apoc.*,*", "apoc.periodic.*"],
  ])("$id: %s %s", (check, name, bad, good) => {
    expect(check.find(known({ [name]: bad }))?.advice).toContain(`${name}=`);
    expect(check.find(known({ [name]: good }))).toBeUndefined();
    expect(check.find(known({}))).toBeUndefined();
  });
});

describe("heap", () => {
  const heap = { used: 95, committed: 100, max: 100 };
  test.each([
    [heap, 92, ["warning"]],
    [heap, 40, ["info"]],
    [heap, null, ["info"]],
    [{ ...heap, used: 80 }, 40, []],
    [{ ...heap, used: 80 }, 90, ["warning"]],
  ])("%o, live %s: %j", (figures, live, expected) => {
    expect(severities(heapFindings(figures, live, 90))).toEqual(expected);
  });
});

test.each([
  [100 * MIB, 64 * MIB, ["warning"]],
  [64 * MIB, 64 * MIB, []],
  [9 * MIB, 8 * MIB, []],
])("store %d, page cache %d: %j", (store, cache, expected) => {
  expect(severities(pageCacheFindings(store, cache, 10 * MIB))).toEqual(expected);
});

describe("memory settings", () => {
  const machine = { name: "1@host", memoryBytes: 1000 * MIB, arguments: ["-Xmx512m"] };
  const cache = (size: string) => known({ "server.memory.pagecache.size": size });
  test.each([
    [cache("64m"), machine, []],
    [cache("500m"), machine, ["warning"]],
    [cache("64m"), { ...machine, arguments: [] }, ["info"]],
    [known({ "server.memory.heap.max_size": "512m" }), { ...machine, arguments: [] }, ["info"]],
    [known({}), machine, ["info"]],
  ])("%o %o: %j", (settings, host, expected) => {
    expect(severities(memoryFindings(settings, host, 512 * MIB, { memory_warning: 90 }))).toEqual(expected);
  });
});
