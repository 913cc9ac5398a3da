import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { tokenize } from "../../../src/memory/analyze.ts";
import { messageOf, shapesOf } from "../../../src/memory/noise.ts";
import { kindOf, type LineKind } from "../../../src/memory/noise-lines.ts";
import { maskValues } from "../../../src/memory/noise-values.ts";
import { readQuery } from "../../../src/memory/read-query.ts";

describe("placeholders", () => {
  test.each<[string, string]>([
    ["at 2024-01-15T10:23:45.123Z it broke", "at # it broke"],
    ["at 2024-01-15T10:23:45+02:00 it broke", "at # it broke"],
    ["2024-01-15 10:23:45,123 - app - ERROR - x", "# # - app - ERROR - x"],
    ["Nov 22 01:02:03 web cron: x", "# # cron[#]: x"],
    ["[15/Jan/2024:10:23:45 +0000] x", "[# #] x"],
    ["[1700000000123] x", "[#] x"],
    ["I0115 10:23:45.123456 x", "# # x"],
    ["id 3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id #"],
    ["from 10.0.0.2:54321 to 10.0.0.1:5432", "from # to #:5432"],
    ["connect ECONNREFUSED ::1:6379", "connect ECONNREFUSED #:6379"],
    ["peer fe80::1ff:fe23:4567:890a", "peer #"],
    ["mac 00:1b:44:11:3a:b7 or 00-1B-44-11-3A-B7", "mac # or #"],
    ["at 0xc000123450", "at #"],
    ["commit 3f786850e387550fdab836ed7e6dc881de23001b", "commit #"],
    ["container f2ca1bb6c7e9", "container #"],
    ["pod payment-7d9f8b6c5-x2k4j", "pod payment-#"],
    ["token eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "token #"],
    ["mail to bob@example.com", "mail to #"],
    ['File "/srv/app/orders/views.py", line 42', 'File "#/views.py", line #'],
    ["in C:\\Users\\bob\\app\\Program.cs:line 12", "in #/Program.cs:line #"],
    ["took 1203ms, 3.5s, 1h23m4.5s, 512MiB, 3324372kB, 12%", "took #, #, #, #, #, #"],
    ["worker-3 of shard-12, Barcode 9421", "worker-# of shard-#, Barcode #"],
    // what tells one error from another stays
    ["ORA-00942: no table", "ORA-00942: no table"],
    ["ERROR: 40P01: deadlock", "ERROR: 40P01: deadlock"],
    ["E11000 duplicate key", "E11000 duplicate key"],
    ["error TS2322 and error[E0308]", "error TS2322 and error[E0308]"],
    ["exit code 137", "exit code 137"],
    ['HTTP/1.1" 502 Bad Gateway', 'HTTP/#" 502 Bad Gateway'],
    ["code=137 status=502", "code=137 status=502"],
    ["x86_64 utf8mb4 psycopg2 log4j", "x86_64 utf8mb4 psycopg2 log4j"],
  ])("%s", (line, masked) => expect(maskValues(line)).toBe(masked));

  test("a line without values is the same string", () => {
    expect(maskValues("connection refused by peer")).toBe("connection refused by peer");
  });
});

describe("kinds of lines", () => {
  test.each<[LineKind, string]>([
    ["head", "java.lang.IllegalStateException: pool closed"],
    ["head", "2024-01-15 10:23:45 ERROR [main] x"],
    ["head", "shop.errors.RedeemConflict: voucher already used"],
    ["own", "\tat com.acme.OrderService.place(OrderService.java:12)"],
    ["own", '  File "/srv/app/views.py", line 1, in f'],
    ["framework", "\tat org.springframework.web.Servlet.service(Servlet.java:1)"],
    ["framework", "    at node:internal/process/task_queues:95:5"],
    ["quiet", "2024-01-15 10:23:45 INFO [main] could not be better"],
    ["quiet", '10.0.0.1 - - [15/Jan/2024:10:23:45 +0000] "GET / HTTP/1.1" 200 12'],
    ["plain", "hello world"],
  ])("%s: %s", (kind, line) => expect(kindOf(line)).toBe(kind));
});

describe("shapes", () => {
  const first = "2024-01-15 10:00:00,1 ERROR [w-1] Could not load order 17 of tenant f2ca1bb6c7e9";
  const second = "Could not load order 23456 of tenant 00aa11bb22cc";

  test("the same error with other values, logged or not, has the same shape; another word another one", () => {
    expect(shapesOf(first)).toEqual(shapesOf(second));
    expect(shapesOf(first)[0]).toMatch(/^__s_[0-9a-f]{16}$/);
    expect(shapesOf(second.replace("order", "invoice"))).not.toEqual(shapesOf(second));
  });

  test.each([
    ["the upstream service returned 502 for cart", "the upstream service returned 404 for cart", "502"],
    ["request failed with HTTP 401 at 10:00:00", "request failed with HTTP 503 at 10:00:00", "401"],
    ["update 17 failed with error 0x80070005", "update 18 failed with error 0x80070643", "0x80070005"],
    ["service crash, code 0xC0000005 in 12", "service crash, code 0xC0000374 in 12", "0xC0000005"],
    ["NVRM: Xid (PCI:0000:01:00): 79, device lost", "NVRM: Xid (PCI:0000:01:00): 31, device lost", "79"],
    ["cannot listen on port 5432 after 3 tries", "cannot listen on port 6379 after 3 tries", "5432"],
    ["cannot connect port=5432 after 3 tries", "cannot connect port=6379 after 3 tries", "5432"],
    ["module needs node v18 after 3 tries", "module needs node v22 after 3 tries", "v18"],
  ])("%s: another error than %s, and the code is a word", (one, other, code) => {
    expect(maskValues(one)).toContain(code);
    expect(messageOf(maskValues(one))).not.toBe(messageOf(maskValues(other)));
  });

  test.each([
    [
      "<34>1 2026-10-11T22:14:15.003Z web01 sshd 2211 ID47 - Failed password for root",
      "<35>1 2026-10-12T01:14:15.003Z db-7 sshd 99 ID12 - Failed password for root",
    ],
    [
      "Nov 20 03:04:05 web01 sshd[2211]: Failed password for root",
      "Nov  3 13:04:05 db-7 sshd[99]: Failed password for root",
    ],
    [
      "Cannot delete file C:\\Users\\alice\\AppData\\tmp1234.tmp now",
      "Cannot delete file C:\\Users\\Bob Lee\\AppData\\Local\\tmp9A.tmp now",
    ],
    ["Cannot load module C:\\Program Files\\x\\y.dll", "Cannot load module D:\\tools\\y.dll"],
    ["restarting pod orders-7d9c6b8f5-x2x9z failed", "restarting pod orders-5f6a1c8d4-ab1cd failed"],
    ["worker lost job_8f14e45fceea again", "worker lost job_c9f0f895fb98 again"],
    ["worker lost lease_12 again", "worker lost lease_7 again"],
    ["account u-1234-abc is locked", "account u-77-xyz9 is locked"],
    ["tenant t_55 exceeded quota", "tenant t_1234 exceeded quota"],
    [
      "repository 'https://github.com/acme/orders.git/' not found",
      "repository 'https://git.example.com/a/b/billing.git/' not found",
    ],
    ["cannot clone git@github.com:acme/orders.git today", "cannot clone git@gitlab.com:me/x.git today"],
    ["cannot fetch https://github.com/acme/orders today", "cannot fetch https://github.com/me/x today"],
  ])("%s: the same error as %s", (one, other) => {
    expect(shapesOf(one)).toHaveLength(1);
    expect(shapesOf(one)).toEqual(shapesOf(other));
  });

  test("the base name of a program and a client's port", () => {
    expect(maskValues("in C:\\Program Files\\x\\kernel32.dll")).toBe("in #/kernel32.dll");
    expect(maskValues("from 10.0.0.9 port 2211 on port 45678")).toBe("from # port # on port #");
  });

  test("stored shapes stay what they are", () => {
    expect(messageOf(maskValues(first))).toBe("could not load order # of tenant #");
    expect(shapesOf(first)).toEqual(["__s_97010958e90611bd"]);
  });

  test("none for text without values, few words, frames of frameworks, lines below warning", () => {
    expect(shapesOf("restart the connection pool after the deploy")).toEqual([]);
    expect(shapesOf("took 12 ms")).toEqual([]);
    expect(shapesOf("\tat org.springframework.web.servlet.Frame.service(Frame.java:12)")).toEqual([]);
    expect(shapesOf(first.replace("ERROR", "INFO"))).toEqual([]);
  });

  test("at most 32, each once", () => {
    const lines = Array.from({ length: 100 }, (_, index) => {
      const word = String.fromCharCode(97 + (index % 26), 97 + (index % 25), 97 + (index % 7));
      return `something ${word} failed after ${index} tries`;
    });
    const shapes = shapesOf([...lines, ...lines].join("\n"));
    expect(shapes).toHaveLength(32);
    expect(new Set(shapes).size).toBe(32);
  });
});

describe("a plain query", () => {
  test("gives all tokens; the parts of an identifier share one word; what repeats counts by its logarithm", () => {
    const { weights, runs, isNoisy } = readQuery("connectionTimeout pool pool 10.0.0.7");
    expect(Object.fromEntries(weights)).toMatchObject({
      connectiontimeout: 1,
      connect: 0.5,
      timeout: 0.5,
      pool: 1 + Math.log(2),
      "7": 1,
    });
    expect(runs).toEqual([tokenize("connectionTimeout pool pool 10.0.0.7")]);
    expect(isNoisy).toBe(false);
    expect(readQuery("connectionTimeout timeout").weights.get("timeout")).toBe(1 + Math.log(2));
  });

  test("prose of several lines is plain too", () => {
    const text = "SeaMonkey 2.53.1 hangs\nSteps to reproduce:\n1. open a page\n2. wait";
    expect([...readQuery(text).weights.keys()].sort()).toEqual([...new Set(tokenize(text))].sort());
  });
});

describe("a noisy query", () => {
  const trace = [
    "2024-01-15 10:00:00,123 INFO [w-1] request 17 served",
    "2024-01-15 10:00:01,123 INFO [w-2] request 18 served",
    "2024-01-15 10:00:02,123 ERROR [w-2] payment gateway unreachable for tenant f2ca1bb6c7e9",
    "\tat com.acme.Billing.charge(Billing.java:77)",
    "\tat org.springframework.Proxy.invoke(Proxy.java:99)",
  ].join("\n");

  test("values are no words, repeated lines fold, telling lines weigh most", () => {
    const query = readQuery(trace);
    expect(query).toMatchObject({
      isNoisy: true,
      lines: 5,
      tellingLines: 1,
      foldedLines: 1,
      skippedBytes: 0,
    });
    for (const value of ["2024", "17", "f2ca1bb6c7e9", "77"]) expect(query.weights.has(value)).toBe(false);
    const [head, own, quiet] = ["gatewai", "bill", "serv"].map((term) => query.weights.get(term)!);
    expect(head).toBeGreaterThan(own!);
    expect(own).toBeGreaterThan(quiet!);
    expect(query.shapes).toHaveLength(1);
  });

  test("of a long log the start and the end are read, and it says what was not", () => {
    const filler = "2024-01-15 10:00:00 INFO alpha beta\n".repeat(50_000);
    const { weights, skippedBytes } = readQuery(`deploy of zebra\n${filler}FATAL: giraffe failed`);
    expect(weights.has("zebra") && weights.has("giraff")).toBe(true);
    expect(skippedBytes).toBeGreaterThan(1_000_000);
  });
});

describe("bad input", () => {
  const MEBIBYTE = 1024 * 1024;
  test.each<[string, string]>([
    ["quotes", '"'.repeat(99)],
    ["operators", 'issue:foo* AND "bar OR NEAR(a b, 2) NOT c:d^2~ /x/ a & !b | (c <-> d):*'],
    ["stopwords", "the and of"],
    ["punctuation", "?!.,;:-_()[]{}<>|\\/"],
    ["another script", "接続エラー ОШИБКА ข้อผิดพลาด"],
    ["emoji", "🚀🔥"],
    ["lone surrogates", "\ud800 a \udfff"],
    ["nothing", ""],
    ["10 MiB in one line", "ab 12 ".repeat((10 * MEBIBYTE) / 6)],
    ["spaces", " ".repeat(10 * MEBIBYTE)],
    ["line ends", "\n".repeat(5_000_000)],
    ["a word without end", "a1".repeat(5 * MEBIBYTE)],
    ["slashes", "/a".repeat(MEBIBYTE)],
    ["colons", "1:".repeat(MEBIBYTE)],
    ["windows paths", "C:\\a b".repeat(MEBIBYTE)],
    ["underscores", "a_1-".repeat(MEBIBYTE)],
    ["at signs", "a@".repeat(MEBIBYTE)],
  ])("%s", (_, text) => {
    const { weights, runs, shapes } = readQuery(text);
    for (const term of [...weights.keys(), ...runs.flat().slice(0, 1000)]) {
      if (!/^[a-z0-9_]{1,64}$/.test(term)) throw new Error(`not a token: ${term}`);
    }
    expect([...weights.values()].every((weight) => weight > 0 && Number.isFinite(weight))).toBe(true);
    expect(shapes.length).toBeLessThanOrEqual(32);
  });

  test("any text: nothing throws, tokens are tokens, the same answer twice", () => {
    const unit = fc.constantFrom(
      ..."aZ09 \n\t.:/\\@-_#[](){}\"'=,+%é接🚀",
      " at ",
      "ERROR ",
      "2024-01-15 10:00:00 ",
      'File "',
      "0x",
      "://",
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 300 }), (parts) => {
        const text = parts.join("");
        const query = readQuery(text);
        for (const term of query.weights.keys()) expect(term).toMatch(/^[a-z0-9_]{1,64}$/);
        for (const shape of [...query.shapes, ...shapesOf(text)]) expect(shape).toMatch(/^__s_[0-9a-f]{16}$/);
        expect(readQuery(text)).toEqual(query);
      }),
    );
  });
});
