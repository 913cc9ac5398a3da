/** Damaged and hostile archives against the built program: exit code 23, the live data as they were, nothing left anywhere. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sidecarPath } from "../../src/backup/archives.ts";
import type { Sidecar } from "../../src/backup/metadata.ts";
import { makeSqlite } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const box = new Sandbox({ shared: true });
const live = join(box.cwd, "app.db");
/** What every test breaks a copy of. */
const whole = join(box.dir, "whole");
const backups = join(box.cwd, "backups");
const ENV = { OPSCTL_BACKUP_SIGNING_KEY: KEY };

beforeAll(async () => {
  makeSqlite(live, 600_000);
  await box.ok(["backup", "sqlite", "--sqlite", "app.db", "--name", "set"], { env: ENV });
  cpSync(backups, whole, { recursive: true });
});
beforeEach(() => {
  rmSync(backups, { recursive: true, force: true });
  cpSync(whole, backups, { recursive: true });
});
afterAll(() => box.remove());

const archive = join(backups, "set.tar.gz");
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

/** Everything that this program may have written, but its own state. */
function everything(): string[] {
  return readdirSync(box.dir, { recursive: true, encoding: "utf8" })
    .filter((name) => !name.startsWith("state.db") && !name.includes(".lock"))
    .sort();
}

const restore = (args: readonly string[] = ["set"], env: Record<string, string> = ENV) =>
  box.run(["restore", ...args, "--sqlite", `app.db=${live}`, "--yes"], { env });

async function refused(
  code: number,
  args?: readonly string[],
  env?: Record<string, string>,
): Promise<string> {
  const [digest, files] = [sha256(live), everything()];
  const ran = await restore(args, env);
  expect(ran.code, ran.stderr).toBe(code);
  expect(ran.stdout).toBe("");
  expect(ran.stderr).toMatch(/\nTry: .+\n$/);
  expect(sha256(live)).toBe(digest);
  expect(everything()).toEqual(files);
  return ran.stderr;
}

/** Packs the set again as somebody could who has it. */
function repack(edit: (set: string) => void): void {
  const work = join(box.dir, "repack");
  mkdirSync(work);
  execFileSync("tar", ["-xzf", archive, "-C", work]);
  edit(join(work, "set"));
  execFileSync("tar", ["-czf", archive, "--format=ustar", "-C", work, "set"]);
  rmSync(work, { recursive: true });
}

function editSidecar(edit: (sidecar: Sidecar) => void): void {
  const sidecar = JSON.parse(readFileSync(sidecarPath(archive), "utf8")) as Sidecar;
  edit(sidecar);
  writeFileSync(sidecarPath(archive), JSON.stringify(sidecar));
}

/** With metadata inside and a sidecar that say the same as the bytes: only the signature does not fit. */
function forge(): void {
  let metadata = "";
  repack((set) => {
    const path = join(set, "sqlite", "app.db");
    const database = new Database(path);
    database.exec("CREATE TABLE evil (x)");
    database.close();
    metadata = readFileSync(join(set, "metadata.json"), "utf8");
    const before = createHash("sha256").update(readFileSync(live)).digest("hex");
    const parsed = JSON.parse(metadata) as Sidecar["metadata"];
    parsed.files[0]!.sha256 = sha256(path);
    parsed.files[0]!.size_bytes = readFileSync(path).length;
    expect(parsed.files[0]!.sha256).not.toBe(before);
    metadata = JSON.stringify(parsed);
    writeFileSync(join(set, "metadata.json"), metadata);
  });
  editSidecar((sidecar) => {
    sidecar.metadata = JSON.parse(metadata) as Sidecar["metadata"];
    sidecar.sha256 = sha256(archive);
    sidecar.size_bytes = readFileSync(archive).length;
  });
}

describe("a damaged archive", () => {
  const flip = () => {
    const bytes = readFileSync(archive);
    bytes[bytes.length >> 1]! ^= 8;
    writeFileSync(archive, bytes);
  };
  const replace = (make: () => void) => () => {
    rmSync(archive);
    make();
  };
  it.each<{ what: string; damage: () => void; says: RegExp }>([
    { what: "a bit flipped", damage: flip, says: /set\.tar\.gz/ },
    {
      what: "cut off",
      damage: () => writeFileSync(archive, readFileSync(archive).subarray(0, -1000)),
      says: /its sidecar says/,
    },
    { what: "lost", damage: () => rmSync(archive), says: /missing/ },
    {
      what: "a link to what is no archive",
      damage: replace(() => symlinkSync("/dev/zero", archive)),
      says: /zero/,
    },
    {
      what: "a pipe",
      damage: replace(() => execFileSync("mkfifo", [archive])),
      says: /set\.tar\.gz/,
    },
    {
      what: "packed again, without a sidecar, with another file",
      damage: () => {
        repack((set) => writeFileSync(join(set, "sqlite", "more.db"), "x"));
        rmSync(sidecarPath(archive));
      },
      says: /more\.db: the metadata does not name it/,
    },
  ])("is refused: $what", async ({ damage, says }) => {
    damage();
    expect(await refused(23, ["set", "--trust-archive"])).toMatch(says);
  });
});

describe("a forged archive", () => {
  it("is refused by its signature, whoever trusts it", async () => {
    forge();
    expect(await refused(23, ["set", "--trust-archive"])).toContain("its signature was not made with");
  });

  it("is of unknown origin without its signature, and needs trust", async () => {
    forge();
    editSidecar((sidecar) => {
      sidecar.signature = null;
    });
    const said = await refused(2);
    expect(said).toContain("of unknown origin");
    expect(said).toContain("--trust-archive");
  });

  it("is an archive that this host made only as it made it", async () => {
    forge();
    editSidecar((sidecar) => {
      sidecar.sha256 = sha256(join(whole, "set.tar.gz"));
    });
    expect(await refused(23)).toMatch(/set\.tar\.gz: its S/);
  });
});

describe("the origin", () => {
  const ELSEWHERE = { OPSCTL_STATE: join(box.dir, "state.db.elsewhere") };
  const dry = ["set", "--dry-run"];
  it.each<{ what: string; args: string[]; env: Record<string, string>; trusted: string | undefined }>([
    { what: "this host", args: dry, env: {}, trusted: "catalogue" },
    { what: "another host with the key", args: dry, env: { ...ELSEWHERE, ...ENV }, trusted: "signature" },
    { what: "another host", args: dry, env: ELSEWHERE, trusted: undefined },
    { what: "another host, trusted", args: [...dry, "--trust-archive"], env: ELSEWHERE, trusted: "operator" },
  ])("is $what: $trusted", async ({ args, env, trusted }) => {
    const { code, stdout, stderr } = await box.run(
      ["restore", ...args, "--sqlite", `app.db=${live}`, "--json"],
      { env },
    );
    expect(code, stderr).toBe(trusted === undefined ? 2 : 0);
    if (trusted !== undefined) expect(JSON.parse(stdout)).toMatchObject({ trusted });
  });
});

describe("a disk that takes no more", () => {
  it("is named, before anything was touched", async () => {
    const [digest, files] = [sha256(live), everything()];
    const { code, stderr } = await box.shell(
      `ulimit -f 300; opsctl restore set --sqlite app.db=${live} --yes`,
      ENV,
    );
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/the disk is full: .*\.opsctl-restore-[0-9a-f]{8}.*EFBIG/);
    expect(stderr).toMatch(/\nTry: .+\n$/);
    expect(sha256(live)).toBe(digest);
    expect(everything()).toEqual(files);
  });
});

it("a whole archive is restored, so that the others were refused for what is wrong with them", async () => {
  const { code, stderr } = await restore();
  expect(code, stderr).toBe(0);
  expect(stderr).toContain("restored set");
});
