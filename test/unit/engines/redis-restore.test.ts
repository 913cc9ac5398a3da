import { describe, expect, test } from "vitest";
import { tooOld } from "../../../src/engines/redis/restore-checks.ts";
import { unpacked } from "../../../src/engines/redis/restore-cursor.ts";
import { RequestParser } from "../../../src/engines/redis/restore-requests.ts";

describe("tooOld", () => {
  test.each([
    ["7.0.15", 10, null],
    ["7.0.15", 11, "of Redis 7.2"],
    ["7.0.15", 12, "of Redis 7.4"],
    ["7.2.4", 11, null],
    ["7.4.0", 12, null],
    ["8.2.1", 12, null],
    ["6.2.14", 10, "of Redis 7.0"],
    ["6.2.14", 9, null],
    ["10.0.0", 12, null],
    ["unstable", 12, null],
    [undefined, 12, null],
  ])("a server of %s and a file of version %i: %s", (server, rdb, wrong) => {
    const found = tooOld(server, rdb);
    if (wrong === null) expect(found).toBeNull();
    else expect(found).toContain(wrong);
  });
});

describe("what a replica asks", () => {
  test.each<[string, string[][] | null]>([
    ["*1\r\n$4\r\nPING\r\n", [["PING"]]],
    ["PING\r\n\r\nREPLCONF capa eof\r\n", [["PING"], ["REPLCONF", "capa", "eof"]]],
    ["*3\r\n$4\r\nAUTH\r\n$1\r\na\r\n$0\r\n\r\n*1\r\n$4\r\nPI", [["AUTH", "a", ""]]],
    ["*0\r\n", null],
    ["*99\r\n", null],
    ["*1\r\n$99999\r\n", null],
    ["*1\r\n$-1\r\n", null],
    ["*1\r\nPING\r\n", null],
    ["x".repeat(20_000), null],
  ])("%j", (text, requests) => {
    expect(new RequestParser().push(Buffer.from(text))).toEqual(requests);
  });

  test("byte by byte", () => {
    const parser = new RequestParser();
    const text = "\n*2\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n\n";
    const requests = [...text].flatMap((byte) => parser.push(Buffer.from(byte)));
    expect(requests).toEqual([["PSYNC", "?"]]);
  });
});

describe("a packed text", () => {
  test.each<[string, number[], number, string]>([
    ["plain", [2, 97, 98, 99], 3, "abc"],
    ["a run", [0, 97, 0xe0, 1, 0], 11, "a".repeat(11)],
    ["a reference", [2, 97, 98, 99, 0x20, 2], 6, "abcabc"],
  ])("%s", (_what, packed, size, text) => {
    expect(unpacked(Buffer.from(packed), size).toString()).toBe(text);
  });

  test.each<[string, number[], number]>([
    ["more than it holds", [2, 97, 98, 99], 4],
    ["less than it holds", [2, 97, 98, 99], 2],
    ["before its beginning", [0, 97, 0x20, 9], 4],
    ["a bomb", [0, 97], 1 << 30],
  ])("that claims %s is refused", (_what, packed, size) => {
    expect(() => unpacked(Buffer.from(packed), size)).toThrow("damaged");
  });
});
