import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from "vitest";
import { createCall } from "../../src/call.ts";
import { type Thread, useThread } from "../../src/engines/sqlite/backup-thread.ts";
import { OpsError } from "../../src/errors.ts";
import { makeSqlite } from "../support/backup.ts";
import { testCall } from "../support/calls.ts";
import { BackupFolder, rowsOf, withoutRights } from "./sqlite-backup-kit.ts";

/** Most of a small backup is the start of its threads: they are kept. */
const threads: Thread[] = [];
beforeAll(() => {
  threads.push(useThread("copying"), useThread("checking"));
});
afterAll(() => {
  for (const thread of threads) thread.release();
});

let files: BackupFolder;
beforeEach(() => {
  files = new BackupFolder();
});
afterEach(() => files.remove());

const beside = () => readdirSync(files.dir).sort();

describe("one moment of a file", () => {
  test("in WAL mode: writers go on, and what they write after the snapshot is not in it", async () => {
    const program = new Database(files.path);
    program.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES ('in the log')");
    const { copied, snapshot, facts, file } = await files.backup({
      between: () => program.exec("INSERT INTO t VALUES ('too late')"),
    });
    expect(rowsOf(file, "SELECT a FROM t")).toEqual(["in the log"]);
    expect(rowsOf(files.path, "SELECT count(*) FROM t")).toEqual([2]);
    program.close();
    expect(copied).toMatchObject({
      consistency: "consistent",
      reason: null,
      counts: { tables: 1, rows: 1 },
      breakdown: { t: 1 },
      notes: [],
    });
    expect(snapshot.identity).toMatchObject({ journal_mode: "wal", page_count: 2, page_size: 4096 });
    expect(facts).toMatchObject({
      server_version: null,
      tools: [{ name: "sqlite", version: expect.stringMatching(/^3\.\d+\.\d+$/) }],
      estimate_bytes: 8192,
      scratch_bytes: 8192,
      notes: [],
    });
    expect(beside()).toEqual(["app.db"]);
  });

  test("with a rollback journal: writers wait for the copy, said so, and go on after it", async () => {
    files.sql("CREATE TABLE t (a); INSERT INTO t VALUES (1); PRAGMA user_version = 7");
    const write = () => files.sql("PRAGMA busy_timeout = 0; INSERT INTO t VALUES (2)");
    const { file, facts, snapshot } = await files.backup({
      between: () => expect(write).toThrow(/database is locked/),
    });
    write();
    expect(rowsOf(file, "SELECT a FROM t")).toEqual([1]);
    expect(facts.notes).toEqual([expect.stringMatching(/journal mode delete: .* wait/)]);
    expect(snapshot.identity).toMatchObject({ journal_mode: "delete", user_version: 7 });
    expect(rowsOf(files.path, "PRAGMA journal_mode")).toEqual(["delete"]);
    expect(beside()).toEqual(["app.db"]);
  });

  test("writers are free as soon as the pages are copied, whatever is checked then", async () => {
    makeSqlite(files.path, 4_000_000);
    files.sql("PRAGMA journal_mode = DELETE");
    const part = files.part();
    const out = files.output();
    let isFree = false;
    await part.open(testCall());
    await part.prepare(testCall());
    await part.copy(testCall(), {
      ...out,
      async file(path, kind) {
        files.sql("PRAGMA busy_timeout = 0; INSERT INTO data VALUES (-1, x'00')");
        isFree = true;
        return out.file(path, kind);
      },
    });
    await part.close();
    expect(isFree).toBe(true);
  });

  test("a writer that never rests does not make the copy start over", async () => {
    makeSqlite(files.path, 12_000_000);
    const program = new Database(files.path);
    program.exec("PRAGMA synchronous = OFF; CREATE TABLE beat (n INTEGER)");
    const insert = program.prepare("INSERT INTO beat VALUES (?)");
    let written = 0;
    let isOver = false;
    const write = () => {
      if (isOver) return;
      written += 1;
      insert.run(written);
      setImmediate(write);
    };
    write();
    let before = 0;
    const { file } = await files.backup({
      between: () => {
        before = written;
      },
    });
    isOver = true;
    program.close();
    const [found] = rowsOf(file, "SELECT max(n) FROM beat") as [number];
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThanOrEqual(before);
    expect(rowsOf(file, "SELECT count(*) FROM beat")).toEqual([found]);
    expect(written).toBeGreaterThan(before);
  });

  test("what a killed program left in its journal is rolled back", async () => {
    files.sql("CREATE TABLE t (a); INSERT INTO t SELECT value FROM json_each('[1,2,3]')");
    files.with((database) => {
      database.exec("PRAGMA cache_size = 1; BEGIN; UPDATE t SET a = -a");
      database.exec(
        "CREATE TABLE big AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT i, randomblob(100) FROM n",
      );
      mkdirSync(join(files.dir, "killed"));
      for (const end of ["", "-journal"])
        cpSync(`${files.path}${end}`, join(files.dir, "killed", `app.db${end}`));
    });
    const path = join(files.dir, "killed", "app.db");
    expect(statSync(`${path}-journal`).size).toBeGreaterThan(0);
    const { file, copied } = await files.backup({ path });
    expect(rowsOf(file, "SELECT a FROM t")).toEqual([1, 2, 3]);
    expect(copied.breakdown).toEqual({ t: 3 });
  });

  test("of a file without a byte: a file without a byte", async () => {
    writeFileSync(files.path, "");
    const { file, copied, facts } = await files.backup();
    expect(statSync(file).size).toBe(0);
    expect(copied.counts).toEqual({ tables: 0, rows: 0 });
    expect(facts.estimate_bytes).toBe(0);
    expect(await files.parseFile(file)).toEqual({ counts: { tables: 0, rows: 0 }, breakdown: {} });
  });

  test("of many files at once", async () => {
    const paths = Array.from({ length: 20 }, (_, number) => join(files.dir, `n${number}.db`));
    for (const [number, path] of paths.entries()) files.sql(`CREATE TABLE t AS SELECT ${number} AS a`, path);
    const all = await Promise.all(paths.map((path) => files.backup({ path })));
    expect(all.map(({ file }) => rowsOf(file, "SELECT a FROM t"))).toEqual(
      paths.map((_, number) => [number]),
    );
  });
});

describe("what cannot be copied", () => {
  const absent: { what: string; make: (path: string) => void; code: string; message: RegExp }[] = [
    { what: "no file", make: () => {}, code: "not_found", message: /there is no SQLite file .*app\.db/ },
    { what: "a folder", make: (path) => mkdirSync(path), code: "usage", message: /app\.db is no file/ },
    {
      what: "a pipe",
      make: (path) => execFileSync("mkfifo", [path]),
      code: "usage",
      message: /app\.db is no file/,
    },
    {
      what: "another kind of file",
      make: (path) => writeFileSync(path, "x".repeat(5000)),
      code: "integrity",
      message: /app\.db is not a SQLite database/,
    },
    {
      what: "a file that was cut",
      make(path) {
        makeSqlite(path, 200_000);
        files.sql("PRAGMA journal_mode = DELETE", path);
        truncateSync(path, 40_960);
      },
      code: "integrity",
      message: /app\.db is damaged: .*malformed/,
    },
  ];
  test.each(absent)("$what fails before the snapshot", async ({ make, code, message }) => {
    make(files.path);
    const part = files.part();
    await expect(part.open(testCall())).rejects.toMatchObject({
      code,
      engine: "sqlite",
      message: expect.stringMatching(message),
      hint: expect.any(String),
    });
    await part.close();
  });

  test("a damaged page: integrity, with the first finding", async () => {
    files.sql(`CREATE TABLE t (a, b); CREATE INDEX i ON t (a);
      INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) SELECT i, hex(randomblob(50)) FROM n`);
    const content = readFileSync(files.path);
    content.fill(0x99, 4096 * 10, 4096 * 10 + 200);
    writeFileSync(files.path, content);
    await expect(files.backup()).rejects.toMatchObject({
      code: "integrity",
      engine: "sqlite",
      message: expect.stringMatching(/app\.db is damaged: .*(page 11|Tree)/),
    });
  });

  test("an index that does not match its table", async () => {
    files.sql("CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES ('apple'), ('pear')");
    const content = readFileSync(files.path);
    content.write("grape", content.lastIndexOf("apple"));
    writeFileSync(files.path, content);
    await expect(files.backup()).rejects.toMatchObject({
      code: "integrity",
      message: expect.stringMatching(/damaged: row \d+ (missing from|values differ from) index i/),
    });
  });

  test("a file that another process has for itself: waits, then says so; free again, it is copied", async () => {
    files.sql("CREATE TABLE t (a)");
    const program = new Database(files.path);
    program.exec("BEGIN EXCLUSIVE");
    const part = files.part();
    await expect(part.open(testCall(1_000))).rejects.toMatchObject({
      code: "locked",
      engine: "sqlite",
      message: expect.stringContaining("is locked by another process"),
    });
    await part.close();
    const waiting = files.backup();
    setImmediate(() => program.close());
    expect((await waiting).copied.counts).toEqual({ tables: 1, rows: 0 });
  });

  test("a call that ends: its own reason, and nobody waits", async () => {
    makeSqlite(files.path, 12_000_000);
    const stop = new AbortController();
    const reason = new OpsError({ code: "terminated", message: "SIGTERM" });
    const labels = new Set<string>();
    const call = createCall({
      actor: "tester@host",
      signal: stop.signal,
      progress: ({ label, done }) => {
        labels.add(label);
        if (label.startsWith("copying") && done > 0) stop.abort(reason);
      },
    });
    await expect(files.backup({ call })).rejects.toBe(reason);
    expect(labels).toContain("copying app.db");
    files.sql("PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; DELETE FROM data");
  });

  test("an output that fails ends the check, too", async () => {
    makeSqlite(files.path, 12_000_000);
    const part = files.part();
    const out = files.output();
    const full = new Error("disk full");
    await part.open(testCall());
    await part.prepare(testCall());
    const write = async () => {
      throw full;
    };
    const file = async () => ({ write, end: async () => {}, discard: async () => {} });
    await expect(part.copy(testCall(), { ...out, file })).rejects.toBe(full);
    expect(statSync(join(out.scratch, "copy.db")).size).toBe(0);
    await part.close();
  });
});

describe("a file that may only be read", () => {
  test.each(["delete", "wal"])("in journal mode %s is copied", async (mode) => {
    files.sql(`PRAGMA journal_mode = ${mode}; CREATE TABLE t (a); INSERT INTO t VALUES (1)`);
    chmodSync(files.path, 0o444);
    chmodSync(files.dir, 0o555);
    const { copied, file, facts } = await withoutRights(() => files.backup());
    expect(copied).toMatchObject({ consistency: "consistent", breakdown: { t: 1 } });
    expect(rowsOf(file, "SELECT a FROM t")).toEqual([1]);
    if (mode === "wal") expect(facts.notes).toEqual([expect.stringContaining("cannot be written")]);
    expect(beside()).toEqual(["app.db"]);
  });

  test("and is changed while it is copied as it lies there: refused", async () => {
    files.sql("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    chmodSync(files.dir, 0o555);
    const between = () => {
      process.seteuid!(0);
      writeFileSync(files.path, readFileSync(files.path));
      process.seteuid!(65_534);
    };
    await expect(withoutRights(() => files.backup({ between }))).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining("was changed while it was copied"),
    });
  });

  test("with a log that cannot be read: said, not guessed, also where a link leads to it", async () => {
    const program = new Database(files.path);
    program.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a)");
    chmodSync(files.dir, 0o555);
    for (const end of ["-wal", "-shm"]) chmodSync(`${files.path}${end}`, 0o000);
    const link = join(files.root, "link.db");
    symlinkSync(files.path, link);
    await withoutRights(async () => {
      for (const path of [files.path, link])
        await expect(files.backup({ path })).rejects.toMatchObject({ code: "failed", engine: "sqlite" });
    });
    program.close();
  });
});

describe("a file of a set", () => {
  const FILE = `PRAGMA page_size = 1024; CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT); CREATE INDEX i ON t (b);
    INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i, 'value ' || i FROM n`;

  it("has the counts of its copy, also in WAL mode", async () => {
    files.sql(`PRAGMA journal_mode = WAL; ${FILE}`);
    const { file, copied } = await files.backup();
    const { counts, breakdown } = copied;
    expect(await files.parseFile(file)).toEqual({ counts, breakdown });
    expect(counts).toEqual({ tables: 1, rows: 1000 });
  });

  const damages: { what: string; damage: (content: Buffer) => Buffer; message: RegExp }[] = [
    {
      what: "text",
      damage: () => Buffer.from("no database".repeat(500)),
      message: /is not a SQLite database/,
    },
    { what: "one that was cut", damage: (content) => content.subarray(0, 20_000), message: /damaged/ },
    {
      what: "one with a page of noise",
      damage: (content) => {
        content.fill(0xa5, 10_240, 11_264);
        return content;
      },
      message: /damaged: .*(page|Tree|index)/i,
    },
    {
      what: "one whose header promises more",
      damage: (content) => {
        content.writeUInt32BE(4_000_000_000, 28);
        return content;
      },
      message: /damaged/,
    },
  ];
  it.each(damages)("that is $what: integrity, naming it", async ({ damage, message }) => {
    files.sql(FILE);
    await expect(files.parse(damage(readFileSync(files.path)))).rejects.toMatchObject({
      code: "integrity",
      engine: "sqlite",
      message: expect.stringMatching(message),
    });
  });

  it("with any bit flipped is refused, or still holds the same number of rows", async () => {
    files.sql(FILE);
    const content = readFileSync(files.path);
    let seed = 42;
    const random = (max: number) => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % max;
    };
    let refused = 0;
    for (let round = 0; round < 40; round += 1) {
      const flipped = Buffer.from(content);
      const at = random(flipped.length);
      flipped[at] = flipped[at]! ^ (1 << random(8));
      try {
        expect(await files.parse(flipped)).toMatchObject({ counts: { rows: 1000 } });
      } catch (error) {
        expect(error).toMatchObject({ code: "integrity" });
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(5);
  });

  it("runs nothing that stands in its schema", async () => {
    files.sql(
      `CREATE TABLE t (a, b AS (writefile('${files.dir}/written', 'x'))); INSERT INTO t (a) VALUES (1)`.replace(
        "writefile",
        "printf",
      ),
    );
    files.sql(
      `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'printf', 'load_extension')`,
    );
    await files
      .parseFile(files.path)
      .catch((error: unknown) => expect(error).toMatchObject({ code: "integrity" }));
    expect(existsSync(join(files.dir, "written"))).toBe(false);
  });
});
