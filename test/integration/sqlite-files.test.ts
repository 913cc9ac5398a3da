import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { statfs } from "node:fs/promises";
import { basename, join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { sqliteConnection } from "../../src/engines/sqlite/connect.ts";
import { sqliteMemory } from "../../src/engines/sqlite/memory.ts";
import { sqliteMigrations } from "../../src/engines/sqlite/migrations.ts";
import { MigratedFile } from "./sqlite-folder.ts";

let file: MigratedFile;
beforeEach(() => {
  file = new MigratedFile();
});
afterEach(() => file.remove());

const A = { "V001-x-up.sql": "CREATE TABLE a (b)" };

describe("a file of another program", () => {
  it("that is not there is not made by reading, and by a run with mode 0600", async () => {
    expect(await file.target.history(file.call)).toEqual([]);
    expect(await file.target.occupants(file.call)).toEqual([]);
    expect(await file.target.peerHistory(file.call, "dbmate")).toBeNull();
    await expect(file.target.dump!(file.call)).rejects.toMatchObject({ code: "not_found" });
    const planned = await file.target.prepare(file.call, ["user"], true);
    expect(existsSync(file.path)).toBe(false);
    expect(planned).toEqual([{ name: `file ${file.path}`, before: null, after: "created" }]);
    await file.up(A);
    expect(statSync(file.path).mode & 0o777).toBe(0o600);
    expect(await file.target.prepare(file.call, ["user"], false)).toEqual([]);
  });

  it("in a folder that is not there: the folder is not made, and named", async () => {
    const path = join(file.dir, "no", "app.db");
    const target = sqliteMigrations(sqliteConnection(path, true));
    expect(await target.history(file.call)).toEqual([]);
    await expect(target.prepare(file.call, ["user"], false)).rejects.toMatchObject({
      code: "failed",
      message: expect.stringContaining(`the folder ${join(file.dir, "no")} does not exist`),
    });
    await expect(target.exclusively(file.call, 60_000, async () => {})).rejects.toThrow(
      /cannot be made \(ENOENT\)/,
    );
  });

  test.each(["wal", "delete", "truncate"])("stays in its journal mode: %s", async (mode) => {
    file.with((database) => {
      database.pragma(`journal_mode = ${mode}`);
    });
    await file.up(A);
    await file.connection.close();
    expect(file.values("PRAGMA journal_mode")).toEqual([mode === "truncate" ? "delete" : mode]);
    expect(readdirSync(file.dir).sort()).toEqual(["app.db", "migrations"]);
  });

  it("sees what is only in the write-ahead log, while its program runs", async () => {
    const program = new Database(file.path);
    program.exec("PRAGMA journal_mode = WAL; CREATE TABLE a (b); INSERT INTO a VALUES (1)");
    expect(await file.target.occupants(file.call)).toEqual(["a"]);
    program.close();
  });

  test.each<[string, () => void, string]>([
    ["a folder", () => mkdirSync(file.path), "usage"],
    ["no database", () => writeFileSync(file.path, "x".repeat(5000)), "integrity"],
    ["a link to nothing", () => symlinkSync(join(file.dir, "no", "where"), file.path), "failed"],
  ])("that is %s", async (_, make, code) => {
    make();
    await expect(file.up(A)).rejects.toMatchObject({ code });
  });

  it("our own file is made with its folder, in WAL mode, and takes the user's files, too", async () => {
    const own = new MigratedFile({ foreign: false });
    try {
      await sqliteMemory(own.connection).counts(own.call);
      await own.up(A);
      expect(own.tables()).toContain("memori_events");
      expect(own.tables()).toContain("a");
      expect((await own.target.history(own.call)).map(({ set_name }) => set_name)).toEqual([
        "memory",
        "memory",
        "user",
      ]);
      expect(own.values("PRAGMA journal_mode")).toEqual(["wal"]);
      expect(await own.target.verify(own.call, "memory")).toMatchObject({ records: 0, events: 0 });
      expect(await own.target.occupants(own.call)).toEqual(["a"]);
    } finally {
      await own.remove();
    }
  });
});

describe("a file that may only be read", () => {
  /** The kernel lets root write everywhere. */
  async function withoutRights<T>(work: () => Promise<T>): Promise<T> {
    const isRoot = process.geteuid!() === 0;
    if (isRoot) process.seteuid!(65_534);
    try {
      return await work();
    } finally {
      if (isRoot) process.seteuid!(0);
    }
  }

  test.each(["delete", "wal"])("has a history, in journal mode %s, and refuses a run", async (mode) => {
    await file.up(A);
    file.with((database) => {
      database.pragma(`journal_mode = ${mode}`);
    });
    await file.connection.close();
    chmodSync(file.path, 0o444);
    chmodSync(file.dir, 0o555);
    try {
      await withoutRights(async () => {
        expect(await file.target.history(file.call)).toMatchObject([{ version: "V001" }]);
        await expect(file.target.exclusively(file.call, 100, async () => {})).rejects.toMatchObject({
          code: "failed",
          message: expect.stringMatching(/app\.db-opsctl-lock.* cannot be made \(EACCES\)/),
        });
        await file.connection.close();
      });
    } finally {
      chmodSync(file.dir, 0o755);
    }
    file.files({ "V002-x-up.sql": "CREATE TABLE c (d)" });
    await withoutRights(async () => {
      await expect(file.up()).rejects.toMatchObject({
        code: "failed",
        hint: expect.stringContaining("writable"),
      });
    });
    expect(readdirSync(file.dir).sort()).toEqual(["app.db", "migrations"]);
  });

  it("with a log that nobody can open: said, not guessed", async () => {
    await file.up(A);
    await file.connection.close();
    const program = new Database(file.path);
    program.exec("PRAGMA journal_mode = WAL; CREATE TABLE c (d)");
    chmodSync(file.dir, 0o555);
    chmodSync(`${file.path}-wal`, 0o400);
    chmodSync(`${file.path}-shm`, 0o000);
    try {
      await withoutRights(async () => {
        await expect(file.target.history(file.call)).rejects.toMatchObject({ code: "failed" });
      });
    } finally {
      chmodSync(file.dir, 0o755);
      program.close();
    }
  });
});

describe("the copy before the first change", () => {
  const copies = () => readdirSync(file.dir).filter((name) => name.includes(".before-"));

  it("is the file as it was, with what is in its log, under a name that says what comes", async () => {
    const program = new Database(file.path);
    program.exec("PRAGMA journal_mode = WAL; CREATE TABLE old (x); INSERT INTO old VALUES (1), (2)");
    chmodSync(file.path, 0o640);
    const path = await file.target.exclusively(file.call, 1000, () => file.target.copy!(file.call, "V007"));
    expect(basename(path!)).toMatch(/^app\.db\.before-V007-\d{8}T\d{6}Z$/);
    expect(statSync(path!).mode & 0o777).toBe(0o640);
    program.exec("INSERT INTO old VALUES (3)");
    const copy = new Database(path!);
    expect(copy.prepare("SELECT x FROM old").pluck().all()).toEqual([1, 2]);
    expect(copy.pragma("integrity_check", { simple: true })).toBe("ok");
    copy.close();
    program.close();
    expect(copies()).toEqual([basename(path!)]);
  });

  it("is byte for byte the file when there is no log, and a second one has a name of its own", async () => {
    await file.up({ "V001-x-up.sql": "CREATE TABLE a (b); INSERT INTO a VALUES (zeroblob(300000))" });
    const take = () => file.target.exclusively(file.call, 1000, () => file.target.copy!(file.call, "V002"));
    const [first, second] = [await take(), await take()];
    expect(contentOf(first!).equals(contentOf(file.path))).toBe(true);
    expect(second).not.toBe(first);
    expect(copies()).toHaveLength(2);
  });

  it("is not made of a file that is new or holds nothing", async () => {
    expect(await file.target.copy!(file.call, "V001")).toBeNull();
    await file.target.prepare(file.call, ["user"], false);
    expect(await file.target.copy!(file.call, "V001")).toBeNull();
    expect(copies()).toEqual([]);
  });

  it("is one moment of a file that is being written, and its parts of killed processes go", async () => {
    file.sql("CREATE TABLE a (b, c); PRAGMA journal_mode = WAL");
    const program = new Database(file.path);
    for (let n = 0; n < 200; n += 1) program.prepare("INSERT INTO a VALUES (?, zeroblob(100000))").run(n);
    writeFileSync(`${file.path}.before-V001-20240101T000000Z.1-abc.partial`, "x");
    writeFileSync(`${file.path}.before-V001-20240101T000000Z.1-abc.partial-journal`, "x");
    let writes = 0;
    const progress = () => {
      writes += 1;
      program.exec("BEGIN; INSERT INTO a VALUES (-1, zeroblob(100000)); DELETE FROM a WHERE b = 0; COMMIT");
    };
    const path = await file.target.copy!({ ...file.call, progress }, "V001");
    expect(writes).toBeGreaterThan(0);
    program.close();
    const copy = new Database(path!);
    expect(copy.prepare("SELECT count(*), min(b) FROM a").raw().get()).toEqual([200, 0]);
    copy.close();
    expect(copies()).toEqual([basename(path!)]);
  });

  it("leaves nothing behind when it is interrupted", async () => {
    file.sql("CREATE TABLE a (b); INSERT INTO a VALUES (zeroblob(1000000))");
    const abort = new AbortController();
    const call = { ...file.call, signal: abort.signal };
    const copying = file.target.copy!({ ...call, progress: () => abort.abort() }, "V001");
    abort.abort();
    await expect(copying).rejects.toMatchObject({ code: "failed" });
    expect(copies()).toEqual([]);
  });

  it("is refused when there is no room, naming --no-copy", async () => {
    file.sql("CREATE TABLE a (b)");
    const { bavail, bsize } = await statfs(file.dir);
    growTo(file.path, bavail * bsize + 1024 ** 3);
    await expect(file.target.copy!(file.call, "V001")).rejects.toMatchObject({
      code: "failed",
      message: expect.stringMatching(
        /^no room for the copy of the file: it needs [\d,]+ MiB in .*nothing was changed$/,
      ),
      hint: expect.stringContaining("--no-copy"),
    });
    expect(copies()).toEqual([]);
  });

  /** The bytes of a file, without what a backup counts anew: changes of the file and of its schema. */
  function contentOf(path: string): Buffer {
    const content = readFileSync(path);
    for (const at of [24, 40, 92]) content.fill(0, at, at + 4);
    return content;
  }

  /** Makes a file sparse: it says that it has so many bytes, and takes next to none. */
  function growTo(path: string, bytes: number): void {
    const pages = Math.ceil(bytes / 4096);
    truncateSync(path, pages * 4096);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(pages);
    const descriptor = openSync(path, "r+");
    writeSync(descriptor, header, 0, 4, 28);
    closeSync(descriptor);
  }
});

describe("what a file holds", () => {
  it("occupants: tables and views, but not opsctl's, SQLite's, or those behind a virtual table", async () => {
    file.sql(
      "CREATE TABLE a (b INTEGER PRIMARY KEY AUTOINCREMENT); CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE f USING fts5 (x); CREATE TABLE opsctl_x (y); CREATE TABLE memori_events (z)",
    );
    expect(await file.target.occupants(file.call)).toEqual(["a", "f", "v"]);
    file.sql("CREATE TABLE b (x); CREATE TABLE c (x); CREATE TABLE d (x)");
    expect(await file.target.occupants(file.call)).toEqual(["a", "b", "c", "d", "f"]);
  });

  // the tables as these tools make them
  test.each([
    [
      "golang-migrate",
      "CREATE TABLE schema_migrations (version uint64, dirty bool); CREATE UNIQUE INDEX version_unique ON schema_migrations (version); INSERT INTO schema_migrations VALUES (9223372036854775807, 1)",
      { table: "schema_migrations", versions: ["9223372036854775807"], lastOnly: true, dirty: true },
    ],
    [
      "golang-migrate",
      "CREATE TABLE schema_migrations (version uint64, dirty bool)",
      { table: "schema_migrations", versions: [], lastOnly: true, dirty: false },
    ],
    [
      "dbmate",
      "CREATE TABLE \"schema_migrations\" (version varchar(128) primary key); INSERT INTO schema_migrations VALUES ('20240102'), ('20240101')",
      { table: "schema_migrations", versions: ["20240101", "20240102"], lastOnly: false, dirty: false },
    ],
    [
      "diesel",
      "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); INSERT INTO __diesel_schema_migrations (version) VALUES ('00000000000000')",
      { table: "__diesel_schema_migrations", versions: ["00000000000000"], lastOnly: false, dirty: false },
    ],
    ["dbmate", "CREATE TABLE schema_migrations (version uint64, dirty bool)", null],
    ["golang-migrate", "CREATE TABLE schema_migrations (version varchar(128) primary key)", null],
    ["diesel", "CREATE TABLE schema_migrations (version varchar(128) primary key)", null],
    ["opsctl", "CREATE TABLE schema_migrations (version varchar(128) primary key)", null],
  ] as const)("history of %s: %s", async (format, ddl, history) => {
    file.sql(ddl);
    const before = readFileSync(file.path);
    expect(await file.target.peerHistory(file.call, format)).toEqual(history);
    await file.connection.close();
    expect(readFileSync(file.path).equals(before)).toBe(true);
  });

  it("the dump is the same for the same schema, makes it again, and leaves out what is not its own", async () => {
    const schema =
      "CREATE TABLE z (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT UNIQUE); CREATE INDEX i ON z (b); CREATE VIEW v AS SELECT ';' FROM z; CREATE VIRTUAL TABLE f USING fts5 (x); CREATE TABLE a (c); CREATE TRIGGER t AFTER INSERT ON z BEGIN DELETE FROM a; END";
    await file.up({ "V001-x-up.sql": schema });
    const dump = await file.target.dump!(file.call);
    expect(dump.match(/^CREATE \w+ \w+/gm)).toEqual([
      "CREATE TABLE a",
      "CREATE VIRTUAL TABLE",
      "CREATE TABLE z",
      "CREATE INDEX i",
      "CREATE VIEW v",
      "CREATE TRIGGER t",
    ]);
    const again = new MigratedFile();
    try {
      await again.up({ "V001-x-up.sql": dump });
      again.sql("INSERT INTO z (b) VALUES ('x'); ANALYZE");
      expect(await again.target.dump!(again.call)).toBe(dump);
    } finally {
      await again.remove();
    }
    rmSync(file.path);
    await file.connection.close();
    await file.target.prepare(file.call, ["user"], false);
    expect(await file.target.dump!(file.call)).toBe("");
  });
});
