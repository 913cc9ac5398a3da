/** What happens around a backup: hooks, pings, verification, warnings; all on SQLite files. */
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Sandbox } from "../support/cli.ts";

let sandbox: Sandbox;
let server: Server;
let requests: { url: string; body: string }[];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    requests.push({ url: request.url!, body });
    response.end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(() => server.close());
beforeEach(() => {
  sandbox = new Sandbox({ shared: true });
  requests = [];
  makeDatabase("app.db", 500);
});
afterEach(() => sandbox.remove());

function makeDatabase(name: string, rows: number): void {
  const database = new Database(join(sandbox.cwd, name));
  database.exec("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, text TEXT); DELETE FROM items");
  const insert = database.prepare("INSERT INTO items (text) VALUES (?)");
  database.transaction(() => {
    for (let row = 0; row < rows; row += 1) insert.run(randomBytes(100).toString("hex"));
  })();
  database.exec("VACUUM");
  database.close();
}

const ARGS = ["backup", "sqlite", "--sqlite", "app.db"];
const pings = () => {
  const { port } = server.address() as AddressInfo;
  const to = (what: string) => `http://127.0.0.1:${port}/secret-id/${what}`;
  return {
    OPSCTL_PING_START: to("start"),
    OPSCTL_PING_SUCCESS: to("success"),
    OPSCTL_PING_FAILURE: to("fail"),
  };
};
/** A hook that notes what it was told. */
const note = (name: string, code = 0) => {
  const path = sandbox.file(
    `${name}.mjs`,
    `import { appendFileSync } from "node:fs";
     const { OPSCTL_BACKUP_STATE = "", OPSCTL_BACKUP_PATH = "" } = process.env;
     appendFileSync("hooks.log", "${name} " + OPSCTL_BACKUP_STATE + " " + OPSCTL_BACKUP_PATH + "\\n");
     process.exitCode = ${code};`,
  );
  return `${process.execPath} ${path}`;
};
const hooksLog = () =>
  readFileSync(join(sandbox.cwd, "hooks.log"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => line.trimEnd());

describe("around a backup", () => {
  it("pings start and success, and runs the hooks with the outcome", async () => {
    const env = { ...pings(), OPSCTL_BACKUP_BEFORE: note("before"), OPSCTL_BACKUP_AFTER: note("after") };
    const made = await sandbox.json("backup", ARGS, { env });
    expect(requests.map(({ url }) => url)).toEqual(["/secret-id/start", "/secret-id/success"]);
    expect(requests[1]!.body).toContain(`${made["name"]}.tar.gz complete`);
    expect(hooksLog()).toEqual(["before", `after complete ${made["path"]}`]);
    expect(made["verified"]).toMatchObject({ level: "checksums" });
  });

  it("does nothing when the hook before fails, and says so to the ping", async () => {
    const env = { ...pings(), OPSCTL_BACKUP_BEFORE: note("before", 7), OPSCTL_BACKUP_AFTER: note("after") };
    const { code, stderr } = await sandbox.run(ARGS, { env });
    expect(code).toBe(1);
    expect(stderr).toContain("OPSCTL_BACKUP_BEFORE");
    expect(requests.map(({ url }) => url)).toEqual(["/secret-id/start", "/secret-id/fail"]);
    expect(hooksLog()).toEqual(["before"]);
    expect(readdirSync(join(sandbox.cwd, "backups")).filter((name) => !name.startsWith("."))).toEqual([]);
  });

  it("keeps the archive when the hook after fails, exits with 3 and pings failure", async () => {
    const env = { ...pings(), OPSCTL_BACKUP_AFTER: note("after", 1) };
    const made = await sandbox.json("backup", ARGS, { env, code: 3 });
    expect(made["state"]).toBe("complete");
    expect(made["warnings"].join()).toContain("OPSCTL_BACKUP_AFTER");
    expect(requests.at(-1)!.url).toBe("/secret-id/fail");
  });

  it("runs the hook after, and pings failure, when nothing could be backed up", async () => {
    const env = { ...pings(), OPSCTL_BACKUP_BEFORE: note("before"), OPSCTL_BACKUP_AFTER: note("after") };
    writeFileSync(join(sandbox.cwd, "app.db"), "no database at all, but long enough to be one".repeat(200));
    const { code } = await sandbox.run(ARGS, { env });
    expect(code).toBe(23);
    expect(hooksLog()).toEqual(["before", "after failed"]);
    expect(requests.map(({ url }) => url)).toEqual(["/secret-id/start", "/secret-id/fail"]);
  });

  it("goes on when nobody answers the pings, without printing their URLs", async () => {
    const env = { OPSCTL_PING_START: "http://127.0.0.1:9/secret-id/start" };
    const { code, stderr, stdout } = await sandbox.run(ARGS, { env });
    expect(code).toBe(0);
    expect(stderr).toContain("ping");
    expect(stderr + stdout).not.toContain("secret-id");
  });

  it("warns when a table has lost most of its rows", async () => {
    expect((await sandbox.json("backup", ARGS))["warnings"]).toEqual([]);
    makeDatabase("app.db", 20);
    const made = await sandbox.json("backup", ARGS);
    expect(made["warnings"].join("\n")).toMatch(/rows/);
  });

  it("reads every file by its engine's rules with --verify parse", async () => {
    const made = await sandbox.json("backup", [...ARGS, "--verify", "parse"]);
    expect(made["verified"]).toMatchObject({ level: "parse" });
    const found = await sandbox.json("backup list", ["backup", "list"]);
    expect(found["backups"]).toMatchObject([{ name: made["name"], verified: { level: "parse" } }]);
  });

  it("is compared with what is there now", async () => {
    await sandbox.json("backup", ARGS);
    // the database is named by a setting: what is live is what a backup without flags would hold
    const env = { OPSCTL_BACKUP_SQLITE: "app.db" };
    const args = ["backup", "diff", "latest", "live", "--exit-code"];
    expect(await sandbox.json("backup diff", args, { env })).toMatchObject({ same: true, changes: [] });
    makeDatabase("app.db", 501);
    const changed = await sandbox.json("backup diff", args, { env, code: 4 });
    expect(changed["changes"]).toContainEqual(
      expect.objectContaining({ part: "app.db", name: "items", a: 500, b: 501, change: 1 }),
    );
  });

  it("removes nothing beside a file that --output names, unless flags say so", async () => {
    const env = { OPSCTL_KEEP_LAST: "1" };
    const first = await sandbox.json("backup", ARGS, { env });
    const copy = await sandbox.json("backup", [...ARGS, "--output", "backups/copy.tar.gz"], { env });
    expect(copy["removed"]).toEqual([]);
    const last = await sandbox.json("backup", ARGS, { env });
    expect(last["removed"].toSorted()).toEqual([first["name"], "copy"].toSorted());
  });

  it("is one line in a pipe", async () => {
    const line = await sandbox.ok(ARGS);
    expect(line.trim().split("\n")).toHaveLength(1);
    expect(line).toMatch(/\.tar\.gz: complete, consistent, verified \(checksums\), sqlite, /);
  });
});
