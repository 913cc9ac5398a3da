/** What must never be said of an archive that is not so: encrypted, signed, a backup at all. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateIdentity, identityToRecipient } from "age-encryption";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";

const box = new Sandbox({ shared: true });
afterAll(() => box.remove());

const KEY = "0123456789abcdef0123456789abcdef";
const ARGS = ["backup", "sqlite", "--sqlite", "app.db"];
let recipient: string;

beforeAll(async () => {
  recipient = await identityToRecipient(await generateIdentity());
  const database = new Database(join(box.cwd, "app.db"));
  database.pragma("journal_mode = WAL");
  database.exec("CREATE TABLE items (x); INSERT INTO items VALUES ('canary-plaintext')");
  database.close();
});

const names = () =>
  readdirSync(box.cwd, { recursive: true })
    .map(String)
    .filter((name) => !name.includes(".opsctl"))
    .sort();

describe("encryption", () => {
  it.each([
    ["a folder, by flag", ["--format", "dir", "--encrypt-to"], true],
    ["a file, by flag", ["--output", "one.db", "--encrypt-to"], true],
    ["a folder, by setting", ["--format", "dir"], false],
    ["a file, by setting", ["--output", "one.db"], false],
  ] as const)("of %s is refused before anything is written", async (_what, flags, byFlag) => {
    const before = names();
    const args = [...ARGS, ...flags, ...(byFlag ? [recipient] : [])];
    const { code, stderr } = await box.run(args, {
      env: byFlag ? {} : { OPSCTL_BACKUP_RECIPIENTS: recipient },
    });
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("cannot be encrypted"),
    });
    expect(names()).toEqual(before);
  });

  it("leaves no plain text in what it publishes", async () => {
    const made = await box.json("backup", [...ARGS, "--dir", "sealed"], {
      env: { OPSCTL_BACKUP_RECIPIENTS: recipient },
    });
    expect(made["encrypted"]).toBe(true);
    expect(readFileSync(made["path"]).subarray(0, 22).toString()).toBe("age-encryption.org/v1\n");
    expect(readFileSync(made["path"]).includes("canary-plaintext")).toBe(false);
  });
});

describe("--output to a file that is there", () => {
  it.each([
    ["the database itself", "app.db"],
    ["the same by another way", "./../work/app.db"],
    ["a file of somebody else", "other.db"],
    ["one beside somebody's .json", "third.db"],
  ])("is refused: %s", async (_what, output) => {
    writeFileSync(join(box.cwd, "other.db"), "mine");
    writeFileSync(join(box.cwd, "third.db.json"), '{"name":"mine"}');
    const before = readFileSync(join(box.cwd, "app.db"));
    const { code, stderr } = await box.run([...ARGS, "--output", output]);
    expect({ code, stderr }).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no backup by opsctl"),
    });
    expect(readFileSync(join(box.cwd, "app.db")).equals(before)).toBe(true);
    expect(readFileSync(join(box.cwd, "other.db"), "utf8")).toBe("mine");
    expect(readFileSync(join(box.cwd, "third.db.json"), "utf8")).toBe('{"name":"mine"}');
  });

  it("replaces what a run before made", async () => {
    await box.ok([...ARGS, "--output", "copy.db"]);
    const again = await box.json("backup", [...ARGS, "--output", "copy.db"]);
    expect(again["verified"]).toMatchObject({ level: "checksums" });
  });
});

describe("a signature", () => {
  const env = { OPSCTL_BACKUP_SIGNING_KEY: KEY };

  it("finds an archive whose digests were made anew", async () => {
    const made = await box.json("backup", [...ARGS, "--dir", "signed"], { env });
    expect(await box.json("backup show", ["backup", "show", "latest", "--dir", "signed"])).toMatchObject({
      signed: true,
    });
    const verify = ["backup", "verify", made["name"], "--dir", "signed"];
    await box.json("backup verify", verify, { env });
    // other content, with a digest to match: an archive of the same set without its last byte of padding would not do, so all of it is made anew
    const other = await box.json("backup", [...ARGS, "--dir", "forged", "--name", made["name"]]);
    writeFileSync(made["path"], readFileSync(other["path"]));
    const sidecar = JSON.parse(readFileSync(join(box.cwd, "signed", `${made["name"]}.json`), "utf8"));
    const forged = JSON.parse(readFileSync(join(box.cwd, "forged", `${made["name"]}.json`), "utf8"));
    forged.signature = sidecar.signature;
    writeFileSync(join(box.cwd, "signed", `${made["name"]}.json`), JSON.stringify(forged));
    expect(forged.sha256).toBe(createHash("sha256").update(readFileSync(made["path"])).digest("hex"));
    expect((await box.run(verify)).code).toBe(0);
    const found = await box.json("backup verify", verify, { env, code: 23 });
    expect(JSON.stringify(found)).toContain("OPSCTL_BACKUP_SIGNING_KEY");
  });

  it("is not made with a short key", async () => {
    const { code, stderr } = await box.run(ARGS, { env: { OPSCTL_BACKUP_SIGNING_KEY: "short" } });
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining("32 characters") });
  });
});

describe("a folder of archives in which anything may lie", () => {
  it("waits for no pipe and follows no link", async () => {
    const made = await box.json("backup", [...ARGS, "--dir", "odd"]);
    execFileSync("mkfifo", [join(box.cwd, "odd", "pipe.json")]);
    execFileSync("ln", ["-s", "/dev/zero", join(box.cwd, "odd", "link.json")]);
    mkdirSync(join(box.cwd, "odd", "folder.json"));
    const listed = await box.json("backup list", ["backup", "list", "--dir", "odd"]);
    expect(listed["backups"]).toMatchObject([{ name: made["name"], state: "complete" }]);
    await box.ok([...ARGS, "--dir", "odd"]);
  });

  it("says of an archive with a pipe for a sidecar that it cannot be read", async () => {
    const made = await box.json("backup", [...ARGS, "--dir", "piped"]);
    const sidecar = join(box.cwd, "piped", `${made["name"]}.json`);
    execFileSync("rm", [sidecar]);
    execFileSync("mkfifo", [sidecar]);
    expect((await box.run(["backup", "verify", made["name"], "--dir", "piped"])).code).toBe(23);
  });

  it.each([
    [
      "is complete without files",
      (metadata: Metadata) => ({ ...metadata, files: [], parts: [{ ...metadata.parts[0], files: [] }] }),
    ],
    [
      "is complete with a part that failed",
      (metadata: Metadata) => ({
        ...metadata,
        files: [],
        parts: [
          { ...metadata.parts[0], state: "failed", error: { code: "failed", message: "x" }, files: [] },
        ],
      }),
    ],
    [
      "lists a file of no part",
      (metadata: Metadata) => ({ ...metadata, parts: [{ ...metadata.parts[0], files: ["other"] }] }),
    ],
  ])("does not call good what %s", async (_what, change) => {
    const folder = join(box.cwd, "lying");
    execFileSync("rm", ["-rf", folder]);
    const made = await box.json("backup", [...ARGS, "--dir", "lying", "--format", "dir"]);
    const inner = join(made["path"], "metadata.json");
    writeFileSync(inner, JSON.stringify(change(JSON.parse(readFileSync(inner, "utf8")))));
    execFileSync("rm", [`${made["path"]}.json`]);
    execFileSync("tar", ["-czf", `${made["path"]}.tar.gz`, "-C", folder, made["name"]]);
    const { code, stderr } = await box.run(["backup", "verify", `${made["path"]}.tar.gz`]);
    expect({ code, stderr }).toMatchObject({
      code: 23,
      stderr: expect.stringContaining("contradicts itself"),
    });
    expect(existsSync(`${made["path"]}.json`)).toBe(false);
  });
});

describe("a run that cannot use what is around it", () => {
  it("does not need the state file", async () => {
    const state = join(box.cwd, "broken-state.db");
    writeFileSync(state, "junk".repeat(1000));
    const { code, stderr } = await box.run([...ARGS, "--dir", "stateless"], { env: { OPSCTL_STATE: state } });
    expect(code, stderr).toBe(0);
    expect(stderr).toContain("list of archives");
  });

  it("ends where no folder can be made", async () => {
    const { code, stderr } = await box.run([...ARGS, "--dir", "/proc/nowhere/at/all"]);
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("nothing can be written"),
    });
  });

  it("names the setting of the backup's own connection", async () => {
    const { stderr } = await box.run(["backup", "postgres", "--dir", "none"], {
      env: {
        DATABASE_URL: "postgresql://a@127.0.0.1:9/a",
        BACKUP_DATABASE_URL: "postgresql://b@127.0.0.1:9/b",
      },
    });
    expect(stderr).toMatch(/^Try: check BACKUP_DATABASE_URL/m);
  });
});

interface Metadata {
  parts: Record<string, unknown>[];
}
