/** Bad input of `backup`: refused with a message that names it, a last line `Try: …`, the exit code, and nothing written. */
import { chmodSync, lstatSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { archivesIn, makeSqlite } from "../support/backup.ts";
import { BIN, Sandbox } from "../support/cli.ts";

const box = new Sandbox({ shared: true });

beforeAll(async () => {
  makeSqlite(join(box.cwd, "app.db"), 10_000);
  await box.ok(["backup", "sqlite", "--sqlite", "app.db", "--name", "taken"]);
  box.file("notes.txt", "these are no pages of a database\n".repeat(100));
  box.file("corrupt.db", corrupt());
  mkdirSync(join(box.cwd, "folder"));
});
afterAll(() => box.remove());

/** A database whose header is right and whose pages are not. */
function corrupt(): Buffer {
  const bytes = Buffer.alloc(8_192, 0xff);
  bytes.write("SQLite format 3\0", 0, "latin1");
  bytes.set([0x10, 0x00, 1, 1, 0, 64, 32, 32], 16);
  bytes.writeUInt32BE(2, 28);
  return bytes;
}

interface Refusal {
  /** After `backup`. */
  args: string[];
  code?: number;
  says: (string | RegExp)[];
  hint?: string | RegExp;
  env?: Record<string, string>;
}

const NOWHERE = { REDIS_URL: "redis://127.0.0.1:1", DATABASE_URL: "postgresql://u:p@127.0.0.1:1/d" };
const sqlite = (...more: string[]) => ["sqlite", "--sqlite", "app.db", ...more];

const REFUSALS: Record<string, Refusal> = {
  "an unknown engine": { args: ["mysql"], says: ["mysql"], hint: "postgres" },
  "an engine with a typing error": { args: ["postgers"], says: ["postgers"], hint: "postgres" },
  "an engine that is not configured": {
    args: ["redis"],
    says: ["redis", "not configured"],
    hint: "REDIS_URL",
  },
  "an unknown flag": { args: ["--fast"], says: ["--fast"] },

  "a name with a slash": { args: sqlite("--name", "a/b"), says: ["--name", "a/b"], hint: "letters" },
  "a name above the folder": { args: sqlite("--name", "../up"), says: ["--name", "../up"] },
  "a name that is two dots": { args: sqlite("--name", ".."), says: ["--name", '".."'] },
  "a hidden name": { args: sqlite("--name", ".hidden"), says: ["--name", ".hidden"] },
  "an empty name": { args: sqlite("--name", ""), says: ["--name"] },
  "a name with a line break": { args: sqlite("--name", "a\nb"), says: ["--name"] },
  "a name with an escape sequence": { args: sqlite("--name", "a\u001b[31mb"), says: ["--name"] },
  "a name of 300 letters": { args: sqlite("--name", "n".repeat(300)), says: ["--name", "100"] },
  "the name latest": { args: sqlite("--name", "latest"), says: ["--name", "latest"] },
  "a name with an ending": { args: sqlite("--name", "a.tar.gz"), says: ["--name", "a.tar.gz"] },
  "a name that is taken": { args: sqlite("--name", "taken"), says: ["taken", "backups"], hint: "another" },

  "an output in a folder that is not there": {
    args: sqlite("--output", "none/x.tar.gz"),
    says: ["--output", "none", "does not exist"],
  },
  "an output folder that is a file": {
    args: sqlite("--output", "notes.txt/x.tar.gz"),
    says: ["--output", "notes.txt"],
  },
  "an output with an ending nobody knows": {
    args: sqlite("--output", "x.zip"),
    says: ["--output", "x.zip"],
    hint: ".tar.gz",
  },
  "an output of PostgreSQL for two engines": {
    args: ["postgres", "redis", "--output", "x.dump"],
    env: NOWHERE,
    says: ["--output", ".dump"],
  },
  "an output of PostgreSQL for SQLite": { args: sqlite("--output", "x.dump"), says: ["--output", ".dump"] },
  "an output of SQLite for Redis": {
    args: ["redis", "--output", "x.db"],
    env: NOWHERE,
    says: ["--output", ".db"],
  },
  "an output file of its own and a format": {
    args: sqlite("--output", "x.db", "--format", "tar.gz"),
    says: ["--output", "--format"],
  },
  "an output file and another format": {
    args: sqlite("--output", "x.tar.gz", "--format", "tar.zst"),
    says: ["--output", "--format"],
  },
  "an output file and a name": {
    args: sqlite("--output", "x.tar.gz", "--name", "y"),
    says: ["--output", "--name"],
  },
  "an unknown format": { args: sqlite("--format", "zip"), says: ["--format", "zip"], hint: "tar.zst" },

  "an unknown level": { args: sqlite("--verify", "full"), says: ["--verify", "full"], hint: "checksums" },
  "an unknown freeze": { args: sqlite("--freeze", "yes"), says: ["--freeze", "yes"], hint: "auto" },
  "a freeze timeout that is no duration": {
    args: sqlite("--freeze-timeout", "soon"),
    says: ["--freeze-timeout", "soon"],
  },
  "a freeze timeout below zero": {
    args: sqlite("--freeze-timeout", "-5s"),
    says: ["--freeze-timeout", "-5s"],
  },
  "an unknown method of Neo4j": {
    args: sqlite("--neo4j-method", "copy"),
    says: ["--neo4j-method", "copy"],
    hint: "export",
  },
  "an unknown method of Redis": {
    args: sqlite("--redis-method", "copy"),
    says: ["--redis-method", "copy"],
    hint: "psync",
  },
  "--keep-last 0": { args: sqlite("--keep-last", "0"), says: ["--keep-last", "0"] },
  "--keep-daily nonsense": { args: sqlite("--keep-daily", "two"), says: ["--keep-daily", "two"] },
  "--keep-last below zero": { args: sqlite("--keep-last", "-1"), says: ["--keep-last", "-1"] },
  "--keep-within nonsense": { args: sqlite("--keep-within", "long"), says: ["--keep-within", "long"] },
  "--keep-last and --no-retention": {
    args: sqlite("--keep-last", "1", "--no-retention"),
    says: ["--no-retention", "keep"],
  },
  "a recipient that is none": {
    args: sqlite("--encrypt-to", "age1nobody"),
    says: ["--encrypt-to", "age1nobody"],
  },
  "a stall that is too short": {
    args: sqlite(),
    env: { OPSCTL_BACKUP_STALL: "1ms" },
    says: ["OPSCTL_BACKUP_STALL", "1ms"],
  },
  "retention days below zero": {
    args: sqlite(),
    env: { RETENTION_DAYS: "-1" },
    says: ["RETENTION_DAYS", "-1"],
  },
  "--sqlite without SQLite": {
    args: ["redis", "--sqlite", "app.db"],
    env: NOWHERE,
    says: ["--sqlite"],
  },

  "nothing to back up": { args: [], code: 2, says: ["nothing"], hint: "--sqlite" },
  "a SQLite file that is not there": {
    args: ["sqlite", "--sqlite", "none.db"],
    code: 25,
    says: ["none.db"],
  },
  "a folder as a SQLite file": { args: ["sqlite", "--sqlite", "folder"], says: ["folder", "no file"] },
  "a text file as a SQLite file": {
    args: ["sqlite", "--sqlite", "notes.txt"],
    code: 23,
    says: ["notes.txt"],
  },
  "a corrupt SQLite file": { args: ["sqlite", "--sqlite", "corrupt.db"], code: 23, says: ["corrupt.db"] },
  "an empty path of a SQLite file": { args: ["sqlite", "--sqlite", ""], says: ["--sqlite"] },
};

function asPattern(part: string | RegExp): RegExp {
  return part instanceof RegExp ? part : new RegExp(RegExp.escape(part));
}

const contents = () =>
  readdirSync(box.cwd, { recursive: true })
    .map(String)
    .filter((name) => !/lock/.test(name))
    .toSorted();

describe("refused", () => {
  test.each(Object.entries(REFUSALS))("%s", async (_, { args, code = 2, says, hint, env = {} }) => {
    const before = contents();
    const limits = { OPSCTL_CONNECT_TIMEOUT: "1s" };
    const { stdout, stderr, ...ran } = await box.run(["backup", ...args], { env: { ...limits, ...env } });
    expect(ran.code, stderr).toBe(code);
    expect(stdout).toBe("");
    for (const part of says) expect(stderr).toMatch(asPattern(part));
    expect(stderr).toMatch(/(^|\n)Try: \S.*\n$/s);
    if (hint) expect(stderr.slice(stderr.indexOf("\nTry: "))).toMatch(asPattern(hint));
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(stderr).not.toContain("\u001b");
    expect(contents()).toEqual(before);
  });
});

test("a file that nobody may read is refused", async () => {
  const path = makeSqlite(join(box.cwd, "secret.db"), 10_000);
  chmodSync(path, 0);
  const stopped = process.getuid?.() === 0 ? "setpriv --bounding-set=-dac_override,-dac_read_search " : "";
  const before = contents();
  const ran = await box.shell(`${stopped}"${process.execPath}" "${BIN}" backup sqlite --sqlite secret.db`);
  expect(ran.code, ran.stderr).toBe(1);
  expect(ran.stderr).toMatch(/secret\.db/);
  expect(ran.stderr).toMatch(/^Try: ./m);
  expect(contents()).toEqual(before);
});

describe("names that are allowed", () => {
  const NAMES: Record<string, string> = {
    spaces: "my data.db",
    "a leading dash": "-rf.db",
    "a line break": "a\nb.db",
    "other letters": "døtå ünïcode.db",
    "two hundred bytes": `${"ü".repeat(100)}.db`,
    quotes: `it's "quoted".db`,
    "no ending": "plain",
  };
  test.each(Object.entries(NAMES))("a SQLite file with %s", async (_, name) => {
    const folder = join(box.cwd, "folder");
    const path = makeSqlite(join(folder, name), 10_000);
    const { stderr, code } = await box.run(["backup", "sqlite", "--sqlite", path]);
    expect(code, stderr).toBe(0);
    expect(await box.run(["backup", "verify", "latest", "--level", "parse"])).toMatchObject({ code: 0 });
  });

  test("two SQLite files of one name are two parts", async () => {
    for (const parent of ["one", "two"]) {
      mkdirSync(join(box.cwd, parent));
      makeSqlite(join(box.cwd, parent, "same.db"), 10_000);
    }
    const args = ["backup", "sqlite", "--sqlite", "one/same.db", "--sqlite", "two/same.db"];
    await box.ok([...args, "--name", "same"]);
    const { stdout } = await box.shell("tar -tzf backups/same.tar.gz");
    expect(stdout.match(/\.db$/gm)).toHaveLength(2);
    expect(new Set(stdout.trim().split("\n")).size).toBe(stdout.trim().split("\n").length);
  });
});

test("an output that is there already: the file of a run before is replaced, a folder takes the archive, a link stays", async () => {
  const backup = (output: string) => box.run(["backup", "sqlite", "--sqlite", "app.db", "--output", output]);
  expect(await backup("latest.db")).toMatchObject({ code: 0 });
  expect(await backup("latest.db")).toMatchObject({ code: 0 });
  const { stdout } = await box.shell("sqlite3 -readonly latest.db 'SELECT count(*) FROM data'");
  expect(Number(stdout)).toBeGreaterThan(0);
  mkdirSync(join(box.cwd, "elsewhere.db"));
  expect(await backup("elsewhere.db")).toMatchObject({ code: 0 });
  expect(archivesIn(join(box.cwd, "elsewhere.db"))).toEqual([
    expect.stringMatching(/^\d{8}_\d{6}\.tar\.gz$/),
  ]);
  symlinkSync("latest.db", join(box.cwd, "link.db"));
  expect(await backup("link.db")).toMatchObject({ code: 2, stderr: expect.stringContaining("link.db") });
  expect(lstatSync(join(box.cwd, "link.db")).isSymbolicLink()).toBe(true);
});
