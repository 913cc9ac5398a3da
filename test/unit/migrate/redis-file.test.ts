import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkCommands, parseStatement } from "../../../src/engines/redis/migration-check.ts";
import { isIdempotent } from "../../../src/engines/redis/migration-idempotent.ts";
import { argumentsFor, type Loop } from "../../../src/engines/redis/migration-loop.ts";
import {
  commandLines,
  StatementProblem,
  shownBytes,
  wordsOf,
} from "../../../src/engines/redis/migration-words.ts";
import { OpsError } from "../../../src/errors.ts";

const FILE = "V001-x-up.redis";

function words(line: string): string[] {
  return wordsOf(line).map(({ bytes }) => bytes.toString("utf8"));
}

/** What `check` says about a file of this text; undefined: nothing. */
function refusal(text: string): OpsError | undefined {
  try {
    checkCommands({ file: FILE, text, checksum: "", inTransaction: true });
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(OpsError);
    expect((error as OpsError).code).toBe("usage");
    return error as OpsError;
  }
}

describe("lines", () => {
  test("comments and blank lines are none, and offsets point at the command", () => {
    const text = "# one\n-- opsctl: no-transaction\n\n  SET a 1\t\n// two\n\tGET a \\\n   -- three\nPING";
    const statements = commandLines(text);
    expect(statements.map((one) => one.text)).toEqual(["SET a 1", "GET a \\", "PING"]);
    for (const { text: line, offset } of statements)
      expect(text.slice(offset, offset + line.length)).toBe(line);
  });

  test("any text: no error, no empty statement, each at its place, none over two lines", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("\n", "\r", " ", "#", "/", "-", "a", "é", "\u2028") }),
        (text) => {
          for (const { text: line, offset } of commandLines(text)) {
            expect(text.slice(offset, offset + line.length)).toBe(line);
            expect(line).toMatch(/^\S.*$/s);
            expect(line).not.toContain("\n");
          }
        },
      ),
    );
  });
});

describe("words", () => {
  test.each<[string, string[]]>([
    ["SET a 1", ["SET", "a", "1"]],
    ["  SET\ta   1 ", ["SET", "a", "1"]],
    ['SET a ""', ["SET", "a", ""]],
    ['SET a "b c"', ["SET", "a", "b c"]],
    ["SET a 'b \"c\" d'", ["SET", "a", 'b "c" d']],
    ["SET a 'it\\'s \\n'", ["SET", "a", "it's \\n"]],
    ['SET a "\\"x\\" \\\\ \\n\\t\\q"', ["SET", "a", '"x" \\ \n\tq']],
    ['SET a "\\x41\\x4"', ["SET", "a", "Ax4"]],
    ["SET a b\\c", ["SET", "a", "b\\c"]],
    ['SET a x"b c"', ["SET", "a", "xb c"]],
    ["SET schlüssel 😀", ["SET", "schlüssel", "😀"]],
  ])("%j", (line, expected) => expect(words(line)).toEqual(expected));

  test.each<[string, number]>([
    ['SET a "b', 6],
    ["SET a 'b", 6],
    ['SET a "b\\"', 6],
    ['SET a "b"c', 9],
    ['SET a {"b":1}', 10],
  ])("%j does not balance", (line, offset) => {
    expect(() => wordsOf(line)).toThrow(expect.objectContaining({ offset }));
  });

  test("any bytes, quoted, come back", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const [, value] = wordsOf(`ECHO ${shownBytes(Buffer.from(bytes))}`);
        expect(value!.bytes.equals(Buffer.from(bytes))).toBe(true);
      }),
    );
  });

  test("any line: words or a problem inside it", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(" ", '"', "'", "\\", "x", "4", "a", "é", "\t") }),
        (line) => {
          try {
            for (const { raw, offset } of wordsOf(line))
              expect(line.slice(offset, offset + raw.length)).toBe(raw);
          } catch (error) {
            expect(error).toBeInstanceOf(StatementProblem);
            expect((error as StatementProblem).offset).toBeLessThan(line.length);
          }
        },
      ),
    );
  });
});

describe("what must not run", () => {
  test.each([
    "MULTI",
    "exec",
    "DISCARD",
    "WATCH a",
    "SELECT 3",
    "SWAPDB 0 1",
    "AUTH x",
    "HELLO 3",
    "CLIENT SETNAME x",
    "client kill id 3",
    "RESET",
    "QUIT",
    "SUBSCRIBE a",
    "PSUBSCRIBE a",
    "SSUBSCRIBE a",
    "MONITOR",
    "SYNC",
    "BLPOP a 0",
    "BRPOPLPUSH a b 0",
    "BLMOVE a b LEFT LEFT 0",
    "BZPOPMIN a 0",
    "XREAD COUNT 1 BLOCK 0 STREAMS a 0",
    "XREADGROUP GROUP g c block 0 STREAMS a >",
    "WAIT 1 0",
    "SHUTDOWN NOSAVE",
    "REPLICAOF NO ONE",
    "SLAVEOF NO ONE",
    "FAILOVER",
    "DEBUG SLEEP 1",
    "CLUSTER RESET",
    "MODULE LOAD /x.so",
    "FLUSHALL",
    "flushdb ASYNC",
    "SCRIPT KILL",
    "FUNCTION FLUSH",
    "FUNCTION KILL",
    "FUNCTION RESTORE x",
    "FUNCTION DELETE opsctl_migrations_0",
    'FUNCTION LOAD REPLACE "#!lua name=opsctl_migrations_3\\nreturn 1"',
    "DEL opsctl:migrations:0",
    "CONFIG SET requirepass x",
    "CONFIG SET maxmemory 1gb MASTERAUTH x",
    "CONFIG SET dir /etc",
    "CONFIG SET maxmemory lots",
    "CONFIG SET maxmemory",
    "ACL SETUSER app on >x ~*",
    "ACL SETUSER app on #e3b0 ~*",
    "MIGRATE h 6379 a 0 100 AUTH x",
    'SET a "b',
    "SET a 1 # one",
    "SET a 1 // one",
    "SET a 1;",
    "SET a 1 \\",
    "SET a \u0007",
    "SET a \ufffd",
  ])("%j", (line) => {
    const error = refusal(`# first\nPING\n  ${line}\nPING\n`)!;
    expect(error.message).toMatch(/^V001-x-up\.redis:3:\d+: ./);
    expect(error.hint).toBeTruthy();
  });

  test.each([
    "EVAL \"return redis.call('SET', KEYS[1], 1)\" 1 a",
    "XREAD COUNT 1 STREAMS block 0",
    "CONFIG SET maxmemory 512mb maxmemory-policy allkeys-lru",
    'CONFIG SET save "900 1"',
    "CONFIG REWRITE",
    "ACL SETUSER app on nopass ~app:* +@read",
    "FUNCTION LOAD REPLACE \"#!lua name=mine\\nredis.register_function('f', function() return 1 end)\"",
    "SADD colours '#fff' #eee",
    "SET a 'b;'",
    "SET a b# c--d",
    "JSON.SET doc $ '{\"a\":1}'",
  ])("%j may", (line) => expect(refusal(line)).toBeUndefined());

  test("the message shows the line with a caret under the place", () => {
    expect(refusal("PING\nSET a 1 # why\n")!.message).toBe(
      "V001-x-up.redis:2:9: # begins a comment at the start of a line only: here it would be an argument\n" +
        "  2 | SET a 1 # why\n" +
        "    |         ^",
    );
  });

  test.each([
    "AUTH hunter2",
    'AUTH "hunter2',
    "HELLO 3 AUTH me hunter2",
    "CONFIG SET requirepass hunter2",
    "config set maxmemory 1gb masterauth hunter2",
    "ACL SETUSER me >hunter2",
    "MIGRATE h 1 k 0 1 AUTH hunter2",
    "CLIENT hunter2 AUTH",
  ])("%j: no secret in the message", (line) => {
    const error = refusal(line)!;
    expect(error.message + error.hint).not.toContain("hunter2");
  });
});

describe("loops", () => {
  const parse = (line: string) => (parseStatement(commandLines(line)[0]!) as { loop: Loop }).loop;
  const command = (line: string, key: string | Buffer) => {
    const loop = parse(line);
    return [loop.name, ...argumentsFor(loop, Buffer.from(key)).map((arg) => arg.toString("latin1"))];
  };

  test("the key stands for {key} in every argument, byte by byte", () => {
    const line = "for each key matching session:* type STRING do hset log:{key} {key}-{key} '{rest} {x}'";
    expect(parse(line)).toMatchObject({ type: "string", name: "HSET" });
    expect(parse(line).pattern.toString()).toBe("session:*");
    expect(command(line, "session:a{key}")).toEqual([
      "HSET",
      "log:session:a{key}",
      "session:a{key}-session:a{key}",
      "a{key} {x}",
    ]);
    const bytes = Buffer.from([0x6b, 0x00, 0xff, 0x0a]);
    expect(command("FOR EACH KEY MATCHING k* DO EXPIRE {key} 60", bytes)).toEqual(["EXPIRE", "k\0ÿ\n", "60"]);
  });

  test.each([
    "FOR",
    "FOR KEY session:* DO DEL {key}",
    "FOR EACH KEY MATCHING",
    "FOR EACH KEY MATCHING '' DO DEL {key}",
    "FOR EACH KEY MATCHING a* DEL {key}",
    "FOR EACH KEY MATCHING a* TYPE DO DEL {key}",
    "FOR EACH KEY MATCHING a* TYPE string DEL {key}",
    "FOR EACH KEY MATCHING a* DO",
    "FOR EACH KEY MATCHING a* DO DEL a",
    "FOR EACH KEY MATCHING a* DO INCR {key}",
    "FOR EACH KEY MATCHING a* DO LPUSH {key} 1",
    "FOR EACH KEY MATCHING a* DO GET {key}",
    "FOR EACH KEY MATCHING a* DO FLUSHALL {key}",
    "FOR EACH KEY MATCHING a* DO CONFIG SET hz {key}",
    "FOR EACH KEY MATCHING a* DO EVAL 'return 1' 1 {key}",
    "FOR EACH KEY MATCHING a* DO RENAME b{key} c{key}",
    "FOR EACH KEY MATCHING a* DO RENAME {key} c",
    "FOR EACH KEY MATCHING a* DO COPY {key} c:{key}",
    "FOR EACH KEY MATCHING a* DO FOR EACH KEY MATCHING {key} DO DEL {key}",
    "FOR EACH KEY MATCHING a*b DO SET c:{rest} 1",
    "FOR EACH KEY MATCHING [ab]* DO SET c:{rest} 1",
    "FOR EACH KEY MATCHING * DO DEL opsctl:migrations:{key}",
  ])("%j is refused", (line) => {
    expect(refusal(`PING\n${line}\n`)!.message).toMatch(/^V001-x-up\.redis:2:\d+: /);
  });

  test.each<[string, string, boolean]>([
    ["session:*", "SET {key}:copy 1", true],
    ["session:*", "SET session:{rest} 1", true],
    ["session:*", "SADD session:all {key}", true],
    ["session:*", "SADD sessions {key}", false],
    ["session:*", "RENAMENX {key} session:old:{rest}", true],
    ["session:*", "RENAMENX {key} sess:{rest}", false],
    ["session:*", "COPY {key} archive:{key} REPLACE", false],
    ["*", "SET a:{key} 1", true],
    ["*", "EXPIRE {key} 60", false],
    ["*", "SET {key} 1", false],
    ["*:old", "COPY {key} {key}:new REPLACE", false],
    ["*:old", "COPY {key} new:{key} REPLACE", true],
    ["user:?", "SET {key}x 1", true],
    ["user:?:a", "SET {key}:b 1", false],
    ["user:[ab", "SET user:{key} 1", true],
    ["us\\er:*", "SET us{key} 1", true],
    ["session:*", "MSET a:{key} 1 session:{rest}:x 2", true],
    ["session:*", "BITOP NOT session:{rest}:n {key}", true],
    ["session:*", "UNLINK {key} {key}:ttl", false],
  ])("matching %s: %s feeds itself: %s", (pattern, does, feeds) => {
    const error = refusal(`FOR EACH KEY MATCHING ${pattern} DO ${does}`);
    expect(error?.message.includes("its own pattern") ?? false).toBe(feeds);
    if (!feeds) expect(error).toBeUndefined();
  });
});

test.each<[string, boolean]>([
  ["SET a 1", true],
  ["set a 1 EX 60", true],
  ["SET a NX", true],
  ["SET a 1 NX", false],
  ["SET a 1 get", false],
  ["SETNX a 1", false],
  ["GETSET a 1", false],
  ["MSET a 1 b 2", true],
  ["INCR a", false],
  ["APPEND a 1", false],
  ["LPUSH a 1", false],
  ["LSET a 0 x", true],
  ["LREM a 0 x", true],
  ["LREM a 1 x", false],
  ["LTRIM a 0 99", true],
  ["LTRIM a -100 -1", true],
  ["LTRIM a 1 -1", false],
  ["LTRIM a 0 -2", false],
  ["HSET a f 1", true],
  ["HINCRBY a f 1", false],
  ["SADD a 1", true],
  ["SPOP a", false],
  ["SMOVE a b 1", false],
  ["ZADD a 1 x", true],
  ["ZADD a INCR 1 x", false],
  ["ZINCRBY a 1 x", false],
  ["ZUNIONSTORE c 2 a b", true],
  ["ZUNIONSTORE a 2 a b", false],
  ["XADD a * f 1", false],
  ["XGROUP CREATE a g $", false],
  ["DEL a", true],
  ["UNLINK a b", true],
  ["EXPIRE a 60", true],
  ["EXPIRE a 60 NX", false],
  ["PERSIST a", true],
  ["RENAME a b", false],
  ["COPY a b", false],
  ["COPY a b REPLACE", true],
  ["CONFIG SET maxmemory 1gb", true],
  ["ACL SETUSER app on", true],
  ["FUNCTION LOAD code", false],
  ["FUNCTION LOAD REPLACE code", true],
  ["FUNCTION DELETE lib", false],
  ["EVAL x 0", false],
  ["PING", true],
  ["GET a", true],
  ["FT.CREATE i SCHEMA a TEXT", false],
])("%s has the same effect twice: %s", (line, expected) => {
  expect(isIdempotent(words(line))).toBe(expected);
});
