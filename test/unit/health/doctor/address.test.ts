import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { sqliteTarget, type Target } from "../../../../src/config/targets.ts";
import type { EngineName } from "../../../../src/errors.ts";
import { accepts, addressOf, isOwn, listenersAt } from "../../../../src/health/doctor/address.ts";

const root = mkdtempSync(join(tmpdir(), "opsctl-root-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const target = (engine: EngineName, url: string): Target => ({ engine, url, shown: url, identity: url });

it.each([
  ["neo4j", "bolt://db", "db", 7687, null, false, "db:7687"],
  ["neo4j", "neo4j+s://db:1234", "db", 1234, null, true, "db:1234"],
  ["postgres", "postgresql://u:p@db/x", "db", 5432, null, false, "db:5432"],
  ["postgres", "postgresql://u:p@[::1]:5433/x?sslmode=verify-full", "::1", 5433, null, true, "[::1]:5433"],
  [
    "postgres",
    "postgresql://u@localhost/x?host=/run/pg",
    "/run/pg",
    5432,
    "/run/pg/.s.PGSQL.5432",
    false,
    "/run/pg:5432",
  ],
  ["redis", "rediss://:p@db:7000/0", "db", 7000, null, true, "db:7000"],
] as const)("%s %s", (engine, url, host, port, socket, tls, shown) => {
  expect(addressOf(target(engine, url))).toEqual({ host, port, socket, tls, shown });
});

it("a file has no address", () => {
  expect(addressOf(sqliteTarget("/x/data.db"))).toBeNull();
});

it("reads who listens from the tables of the kernel", async () => {
  expect(await listenersAt(root, 6379)).toBeUndefined();
  mkdirSync(join(root, "proc/net"), { recursive: true });
  // 127.0.0.1:6379 listens, 10.0.0.5:6379 is a connection, 0.0.0.0:5432 listens; ::1 and ::ffff:10.0.0.5 at 7687, :: at 5432
  writeFileSync(
    join(root, "proc/net/tcp"),
    `  sl  local_address rem_address   st
   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000
   1: 0500000A:18EB 0600000A:9C40 01 00000000:00000000
   2: 00000000:1538 00000000:0000 0A 00000000:00000000
`,
  );
  writeFileSync(
    join(root, "proc/net/tcp6"),
    `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1E07 00000000000000000000000000000000:0000 0A
   1: 0000000000000000FFFF00000500000A:1E07 00000000000000000000000000000000:0000 0A
   2: 00000000000000000000000000000000:1538 00000000000000000000000000000000:0000 0A
`,
  );
  expect(await listenersAt(root, 6379)).toEqual(["127.0.0.1"]);
  expect(await listenersAt(root, 7687)).toEqual(["::1", "10.0.0.5"]);
  expect(await listenersAt(root, 5432)).toEqual(["0.0.0.0", "::"]);
  expect(await listenersAt(root, 1)).toEqual([]);
});

it.each([
  ["0.0.0.0", "10.0.0.5", true],
  ["0.0.0.0", "::1", false],
  ["::", "10.0.0.5", true],
  ["127.0.0.1", "127.0.0.1", true],
  ["127.0.0.1", "10.0.0.5", false],
])("what listens on %s is reached at %s: %s", (listener, ip, expected) => {
  expect(accepts(listener, ip)).toBe(expected);
});

it("knows addresses of this host from others", () => {
  expect(["127.0.0.1", "127.5.5.5", "::1", "192.0.2.77", "2001:db8::77"].map(isOwn)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
});
