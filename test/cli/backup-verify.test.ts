/** `backup verify` as an operator meets it: the built program, archives that it made of the embedded file. */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as age from "age-encryption";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { archivesIn, backupsOf } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";

let box: Sandbox;
beforeEach(async () => {
  box = new Sandbox({ shared: true });
  await box.ok(["remember", "issue:a", "restarted"]);
});
afterEach(() => box.remove());

/** Makes an archive and returns its path. */
async function make(...args: string[]): Promise<string> {
  return String((await box.json("backup", ["backup", "sqlite", ...args]))["path"]);
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

describe("backup verify", () => {
  it("takes the newest, compares its counts, and records it", async () => {
    await make("--name", "one");
    await make("--name", "two");
    const data = await box.json("backup verify", ["backup", "verify", "--level", "parse"]);
    expect(data).toMatchObject({ ok: true, level: "parse", count: 1 });
    expect(data["backups"][0]).toMatchObject({ name: "two", ok: true, problems: [], error: null });
    expect(data["backups"][0].parts[0].compared).toBeGreaterThan(0);
    const listed = await box.json("backup list", ["backup", "list"]);
    const levels = listed["backups"].map((row: { verified: { level: string } }) => row.verified.level);
    expect(levels).toEqual(["parse", "checksums"]);
  });

  it("names file and problem of what is damaged with 23, and looks at the others all the same", async () => {
    const one = await make("--name", "one");
    await make("--name", "two");
    flip(one);
    const { code, stdout, stderr } = await box.run(["backup", "verify", "--all"]);
    expect(code).toBe(23);
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => line.split("\t"));
    expect(rows.at(-1)).toEqual(["two", "checksums", "ok", "", expect.stringMatching(/^\d+ files/)]);
    expect(rows.slice(0, -1).every(([name, , result]) => name === "one" && result === "damaged")).toBe(true);
    expect(stderr).toMatch(/^error: .*one\.tar\.gz is damaged: .*\nTry: /);
    const answer = await box.json("backup verify", ["backup", "verify", "one"], { code: 23 });
    expect(answer["backups"][0].problems.length).toBeGreaterThan(0);
    const listed = await box.json("backup list", ["backup", "list"]);
    expect(listed["backups"].map((row: { state: string }) => row.state)).toEqual(["complete", "damaged"]);
  });

  it("takes paths, links and other folders", async () => {
    const path = await make("--name", "one", "--format", "tar.zst");
    const elsewhere = join(box.dir, "copies");
    mkdirSync(elsewhere);
    renameSync(path, join(elsewhere, "one.tar.zst"));
    rmSync(join(backupsOf(box), "one.json"));
    symlinkSync("one.tar.zst", join(elsewhere, "latest.tar.zst"));
    const viaLink = join(elsewhere, "latest.tar.zst");
    expect(await box.json("backup verify", ["backup", "verify", viaLink])).toMatchObject({ ok: true });
    // the archive has a sidecar again, and the link has none
    expect(readdirSync(elsewhere).sort()).toEqual(["latest.tar.zst", "one.json", "one.tar.zst"]);
    expect(await box.json("backup verify", ["backup", "verify", "one", "--dir", elsewhere])).toMatchObject({
      ok: true,
    });
  });

  it.each([
    { args: ["nowhere"], code: 25, message: "there is no archive" },
    { args: [], code: 25, message: "holds no archive" },
    { args: ["--level", "drill"], code: 2, message: '--level: "drill" is no level' },
    { args: ["--all", "one"], code: 2, message: "contradict" },
  ])("refuses $args with $code", async ({ args, code, message }) => {
    const ran = await box.run(["backup", "verify", ...args]);
    expect(ran.code).toBe(code);
    expect(ran.stderr).toContain(message);
    expect(ran.stdout).toBe("");
  });

  it("opens an encrypted archive with its key only", async () => {
    const identity = await age.generateX25519Identity();
    const path = await make("--encrypt-to", await age.identityToRecipient(identity));
    expect(archivesIn(backupsOf(box))).toEqual([expect.stringMatching(/\.tar\.gz\.age$/)]);
    const asked = ["backup", "verify", "--level", "parse"];
    expect((await box.run(asked)).code).toBe(2);
    const key = box.file("key.txt", `${identity}\n`);
    const env = { OPSCTL_BACKUP_IDENTITY_FILE: key };
    expect(await box.json("backup verify", asked, { env })).toMatchObject({ ok: true });
    const wrong = { OPSCTL_BACKUP_IDENTITY: await age.generateX25519Identity() };
    const refused = await box.run(asked, { env: wrong });
    expect(refused.code).toBe(21);
    expect(refused.stderr).toContain("is encrypted for other keys");
    flip(path);
    const found = await box.run(asked, { env });
    expect(found.code).toBe(23);
    expect(found.stdout + found.stderr).not.toContain("AGE-SECRET-KEY");
  });
});
