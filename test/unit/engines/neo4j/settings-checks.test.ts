/** Checks of Neo4j that need no more than its settings and figures: a test cannot change those of a running Community server. */
import { describe, expect, test } from "vitest";
import {
  heapFindings,
  memoryFindings,
  pageCacheFindings,
} from "../../../../src/engines/neo4j/checks/memory.ts";
import { heapRoom, pageCacheOf, pageCacheRoom } from "../../../../src/engines/neo4j/checks/memory-room.ts";
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
const GIB = 2 ** 30;

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
    expect(severities(heapFindings(figures, live, 90, 1000))).toEqual(expected);
  });

  test.each([
    ["doubled where there is room", 4, heapRoom(64 * GIB, 16 * GIB), "heap.max_size=8192m"],
    ["half of the machine at most", 20, heapRoom(64 * GIB, 8 * GIB), "heap.max_size=32768m"],
    ["what the page cache leaves", 12, heapRoom(64 * GIB, 32 * GIB), "heap.max_size=16384m"],
    [
      "no larger than it can be",
      32,
      heapRoom(64 * GIB, 16 * GIB),
      "the machine has no memory for a larger heap",
    ],
    [
      "no smaller than it is",
      40,
      heapRoom(64 * GIB, 16 * GIB),
      "the machine has no memory for a larger heap",
    ],
  ])("%s: %d GiB", (_what, gib, room, advice) => {
    const full = { used: gib * GIB, committed: gib * GIB, max: gib * GIB };
    const [found] = heapFindings(full, full.used, 90, room);
    expect(found!.advice).toContain(advice);
    expect(found!.advice!.includes("max_size")).toBe(advice.includes("max_size"));
  });
});

describe("page cache: gibibytes of store, cache, machine and heap", () => {
  test.each([
    [100, 64, 512, 4, "warning", "pagecache.size=122880m"],
    [64, 64, 512, 4, undefined, ""],
    [500, 16, 64, 8, "warning", "pagecache.size=40960m"],
    // 75 % of the machine: there is no more to give
    [500, 40, 64, 8, "info", "as long as queries are quick enough"],
    [500, 38, 64, 8, "info", "as long as queries are quick enough"],
    [500, 48, 64, 31, "info", "as long as queries are quick enough"],
  ])("%d, %d, %d, %d: %s", (store, cache, machine, heap, severity, advice) => {
    const room = pageCacheRoom(machine * GIB, heap * GIB);
    const found = pageCacheFindings(store * GIB, { size: cache * GIB, isSet: true }, 10 * MIB, room);
    expect(found.map((one) => one.severity)).toEqual(severity ? [severity] : []);
    expect(found[0]?.advice ?? "").toContain(advice);
  });

  test("a small store is not worth a finding", () => {
    expect(pageCacheFindings(9 * MIB, { size: 8 * MIB, isSet: true }, 10 * MIB, GIB)).toEqual([]);
  });

  test.each([
    [16, 4, 6 * GIB],
    [256, 31, 20 * GIB],
    [1, 0.98, 32 * MIB],
    [64, 0.125, 8.75 * GIB],
  ])("not set, Neo4j takes its share: machine %d, heap %d", (machine, heap, size) => {
    expect(pageCacheOf(known({}), machine * GIB, heap * GIB)).toEqual({ size, isSet: false });
    const [found] = pageCacheFindings(500 * GIB, { size, isSet: false }, 10 * MIB, 600 * GIB);
    expect(found!.evidence).toContain("server.memory.pagecache.size is not set");
  });
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

  test.each([
    [16, 4, [], known({}), ["heap.initial_size=4096m", "heap.max_size=4096m", "pagecache.size=4096m"]],
    [4, 1, [], known({}), ["heap.max_size=1024m", "pagecache.size=1024m"]],
    [256, 64, [], known({}), ["heap.max_size=31744m", "pagecache.size=65536m"]],
    [16, 10, ["-Xmx10g"], known({}), ["pagecache.size=2048m"]],
    [16, 4, [], cache("10g"), ["heap.max_size=2048m"]],
  ])("what is not set fits the machine: %d GiB, heap %d GiB, %j", (gib, heap, words, settings, lines) => {
    const host = { name: "1@host", memoryBytes: gib * GIB, arguments: words };
    const [found, ...others] = memoryFindings(settings, host, heap * GIB, { memory_warning: 90 });
    expect(others).toEqual([]);
    for (const line of lines) expect(found!.advice).toContain(`server.memory.${line}`);
  });
});
