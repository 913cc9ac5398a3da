/** Bad input of `restore` and `backup drill`: refused with a message that names it, a last line `Try: …`, the exit code, and nothing changed. */
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeSqlite } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";

const box = new Sandbox({ shared: true });
const ENGINE = "--only";
/** Another host: its catalogue does not know the archive. */
const ELSEWHERE = { OPSCTL_STATE: join(box.dir, "elsewhere.db") };

beforeAll(async () => {
  await box.ok(["remember", "issue:disk full", "logs rotated"]);
  await box.ok(["backup", "sqlite", "--name", "taken"]);
  box.file("notes.txt", "these are no pages of a database\n".repeat(100));
  box.file("broken.tar.gz", "no gzip\n".repeat(100));
  makeSqlite(join(box.cwd, "app.db"), 10_000);
  mkdirSync(join(box.cwd, "empty"));
});
afterAll(() => box.remove());

interface Refusal {
  args: string[];
  code?: number;
  says: (string | RegExp)[];
  hint?: string | RegExp;
  env?: Record<string, string>;
}

/** What `restore` and `backup drill` share: an archive, and engines of it. */
const SHARED: Record<string, Refusal> = {
  "a name that is not there": { args: ["none"], code: 25, says: ["none", "backups"], hint: "backup list" },
  "a name with a slash": { args: ["a/b"], code: 25, says: ["a/b"] },
  "an empty name": { args: [""], says: [/name|archive/] },
  "two names": { args: ["taken", "other"], says: [/other|too many|argument/] },
  "latest where nothing is": {
    args: ["latest", "--dir", "empty"],
    code: 25,
    says: ["empty", /no complete|no archive/],
  },
  "a folder of archives that is none": { args: ["latest", "--dir", "none"], code: 25, says: ["none"] },
  "an unknown engine": { args: ["taken", ENGINE, "mysql"], says: ["mysql"], hint: "postgres" },
  "an engine that the archive has not": {
    args: ["taken", ENGINE, "redis"],
    env: { REDIS_URL: "redis://127.0.0.1:1" },
    code: 25,
    says: ["redis", "taken", "sqlite"],
  },
  "an empty engine": { args: ["taken", ENGINE, ""], says: ['""', "engine"] },
  "an unknown flag": { args: ["taken", "--fast"], says: ["--fast"] },
  "--jobs 0": { args: ["taken", "--jobs", "0"], says: ["--jobs", "0"] },
  "--jobs below zero": { args: ["taken", "--jobs", "-2"], says: ["--jobs", "-2"] },
  "a text file": { args: ["notes.txt", "--trust-archive"], code: 23, says: ["notes.txt"] },
  "an archive that is none": {
    args: ["broken.tar.gz", "--trust-archive"],
    code: 23,
    says: ["broken.tar.gz"],
  },
  "an archive of unknown origin": {
    args: ["taken"],
    env: ELSEWHERE,
    says: ["taken"],
    hint: "--trust-archive",
  },
};

const RESTORE: Record<string, Refusal> = {
  "no terminal to confirm on": { args: ["taken"], says: ["taken"], hint: "--yes" },
  "--resume and a name": { args: ["taken", "--resume", "--yes"], says: ["--resume"] },
  "--rollback and a name": { args: ["taken", "--rollback", "--yes"], says: ["--rollback"] },
  "--resume and --abort": { args: ["--resume", "--abort", "--yes"], says: ["--resume", "--abort"] },
  "--rollback and --forget": { args: ["--rollback", "--forget", "--yes"], says: ["--rollback", "--forget"] },
  "--resume and --only": { args: ["--resume", ENGINE, "sqlite", "--yes"], says: ["--resume", "sqlite"] },
  "--resume without anything": { args: ["--resume", "--yes"], code: 25, says: ["no restore"] },
  "--abort without anything": { args: ["--abort", "--yes"], code: 25, says: ["no restore"] },
  "--rollback without anything": { args: ["--rollback", "--yes"], code: 25, says: ["no restore"] },
  "--from-file without an engine": { args: ["--from-file", "app.db"], says: ["--from-file", ENGINE] },
  "--from-file and a name": {
    args: ["taken", "--from-file", "app.db", ENGINE, "sqlite"],
    says: ["--from-file", "taken"],
  },
  "--from-file that is not there": {
    args: ["--from-file", "none.db", ENGINE, "sqlite", "--yes", "--trust-archive"],
    code: 25,
    says: ["none.db"],
  },
  "--from-file of two engines": {
    args: ["--from-file", "app.db", ENGINE, "sqlite", ENGINE, "redis", "--yes"],
    env: { REDIS_URL: "redis://127.0.0.1:1" },
    says: ["--from-file"],
  },
  "--from-file of another engine": {
    args: ["--from-file", "app.db", ENGINE, "redis", "--yes", "--trust-archive"],
    env: { REDIS_URL: "redis://127.0.0.1:1" },
    says: ["app.db"],
  },
  "--from-file of unknown origin": {
    args: ["--from-file", "app.db", ENGINE, "sqlite", "--yes"],
    says: ["app.db"],
    hint: "--trust-archive",
  },
  "a file that the archive has not": {
    args: ["taken", "--yes", "--sqlite", "other.db=elsewhere.db"],
    says: ["other.db", "the archive has"],
  },
  "a file that is no database": {
    args: ["taken", "--yes", "--sqlite", "data.db=notes.txt"],
    says: ["notes.txt", "no SQLite database"],
  },
  "opsctl's own state file": {
    args: ["taken", "--yes", "--sqlite", `data.db=${box.state}`],
    says: ["state file", "never restored"],
  },
  "an address to listen on that is none": {
    args: ["taken", "--yes", "--listen", "nowhere:port"],
    says: ["--listen", "nowhere:port"],
  },
  "an unknown method of Redis": {
    args: ["taken", "--yes", "--redis-method", "copy"],
    says: ["--redis-method", "copy", "replica"],
  },
};

const asPattern = (part: string | RegExp) =>
  part instanceof RegExp ? part : new RegExp(RegExp.escape(part));

/** Names in the working directory, and the bytes of the data file. */
function contents(): string[] {
  const names = readdirSync(box.cwd, { recursive: true })
    .map(String)
    .filter((name) => !/lock/.test(name));
  return [...names.toSorted(), readFileSync(box.db, "base64")];
}

async function checkRefused(
  command: string[],
  { args, code = 2, says, hint, env = {} }: Refusal,
): Promise<void> {
  const before = contents();
  const limits = { OPSCTL_CONNECT_TIMEOUT: "1s" };
  const { stdout, stderr, ...ran } = await box.run([...command, ...args], { env: { ...limits, ...env } });
  expect(ran.code, stderr).toBe(code);
  expect(stdout).toBe("");
  for (const part of says) expect(stderr).toMatch(asPattern(part));
  expect(stderr).toMatch(/(^|\n)Try: \S.*\n$/s);
  if (hint) expect(stderr.slice(stderr.indexOf("\nTry: "))).toMatch(asPattern(hint));
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(stderr).not.toContain("\u001b");
  expect(contents()).toEqual(before);
}

describe("restore refuses", () => {
  test.each(Object.entries({ ...SHARED, ...RESTORE }))("%s", async (_, refusal) => {
    const yes =
      (refusal.code === undefined && refusal.hint !== "--trust-archive") || refusal.args.includes("--yes")
        ? []
        : ["--yes"];
    await checkRefused(["restore"], { ...refusal, args: [...refusal.args, ...yes] });
  });
});

describe("backup drill refuses", () => {
  const names = [
    "an empty name",
    "latest where nothing is",
    "an unknown engine",
    "--jobs 0",
    "an archive of unknown origin",
  ];

  test.each(names)("%s", (name) => checkRefused(["backup", "drill"], SHARED[name]!));
});
