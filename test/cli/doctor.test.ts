/** `doctor` as a user runs it: what it prints, which checks run, what it mends, and its exit codes. */
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { backupsOf, lastArchive } from "../support/backup.ts";
import { BIN, Sandbox } from "../support/cli.ts";
import { HostRoot } from "../support/doctor-host.ts";
import { freePort } from "../support/servers.ts";

let box: Sandbox;
let host: HostRoot;
let env: Record<string, string>;
/** Its name must be quoted. */
let archives: string;
beforeEach(async () => {
  box = new Sandbox();
  host = new HostRoot();
  archives = join(box.dir, "it's $HOME");
  env = { OPSCTL_HOST_ROOT: host.dir, OPSCTL_BACKUPS: archives };
});
afterEach(() => {
  box.remove();
  host.remove();
});

const doctor = (...args: string[]) => box.run(["doctor", ...args], { env });
const report = (code: number, ...args: string[]) => box.json("doctor", ["doctor", ...args], { env, code });
const ids = (rows: { id?: string; check?: string }[]) => rows.map(({ id, check }) => id ?? check);

/** A sandbox with an archive, made once. */
const base = new Sandbox();
beforeAll(async () => {
  await base.ok(["remember", "issue:a", "fixed"]);
  await base.ok(["backup"]);
});
afterAll(() => base.remove());

/** An archive that others can read. */
function openArchive(): string {
  cpSync(backupsOf(base), archives, { recursive: true });
  const archive = lastArchive(archives);
  chmodSync(archive, 0o644);
  chmodSync(archives, 0o755);
  return archive;
}

describe("which checks", () => {
  it("--list has those of all engines, and asks none", async () => {
    env["REDIS_URL"] = "redis://nowhere.invalid:1";
    const { checks, count } = await box.json("doctor --list", ["doctor", "--list"], { env });
    const all = ids(checks);
    expect(all.length).toBe(count);
    expect(new Set(all).size).toBe(count);
    const areas = new Set(checks.map(({ area }: { area: string }) => area));
    expect([...areas].toSorted()).toEqual(
      ["backup", "docker", "host", "neo4j", "postgres", "redis", "sqlite", "stack"].toSorted(),
    );
    for (const { title, looks } of checks) expect(title.length * looks.length).toBeGreaterThan(0);
    const { stdout } = await doctor("--list", "backup-none");
    expect(stdout.trim().split("\t").slice(0, 2)).toEqual(["backup-none", "backup"]);
  });

  it("by id, area and beginning, also several", async () => {
    const { checks } = await report(0, "backup-none", "sqlite-m*", "queue");
    expect(ids(checks).toSorted()).toEqual(["backup-none", "queue-rejected", "queue-waiting", "sqlite-mode"]);
  });

  it.each([
    ["a misspelt id", ["backup-nonne"], /there is no check "backup-nonne"\nTry: did you mean backup-none\?/],
    ["nothing", [""], /there is no check ""/],
    ["an engine that is not configured", ["redis"], /redis is not configured/],
    [
      "a severity that is none",
      ["--min-severity", "warnin"],
      /"warnin" is no severity\nTry: did you mean warning\?/,
    ],
  ])("refuses %s", async (_title, args, message) => {
    const { code, stdout, stderr } = await doctor(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
  });
});

describe("what it says", () => {
  it("of a host where all is well: nothing above info, exit 0", async () => {
    await box.ok(["remember", "issue:a", "fixed"], { env });
    const data = await report(0);
    expect(data["counts"]).toMatchObject({ error: 0, warning: 0 });
    expect(["ok", "info"]).toContain(data["status"]);
    expect(data["checks"].filter(({ status }: { status: string }) => status === "skipped")).toEqual([]);
  });

  it("one line a finding in a pipe, with a command that a shell takes, and exit 4", async () => {
    const archive = openArchive();
    const { code, stdout, stderr } = await doctor("backup-folder-mode");
    expect(code).toBe(4);
    const [row, ...more] = stdout.slice(0, -1).split("\n");
    expect(more).toEqual([]);
    const [severity, check, subject, evidence, command, advice] = row!.split("\t");
    expect([severity, check, subject, advice]).toEqual(["warning", "backup-folder-mode", archives, ""]);
    expect(evidence).toMatch(/^1 archive can be read by others than their owner: /);
    expect(stderr).toBe("1 finding (1 warning), 1 check\n");
    expect((await box.shell(command!)).code).toBe(0);
    expect(statSync(archive).mode & 0o777).toBe(0o600);
    expect((await doctor("backup-folder-mode")).code).toBe(0);
  });

  it("on a terminal a block a finding, in colour", async () => {
    openArchive();
    const command = `"${process.execPath}" "${BIN}" doctor backup-folder-mode`;
    const { stdout } = await box.shell(`script -qec 'stty cols 200; ${command}' /dev/null`, {
      ...env,
      TERM: "xterm",
    });
    const lines = stdout.split(/\r?\n/).map((line) => line.split("\u001b[2K").at(-1)!);
    const head = lines.findIndex((line) => line.includes("backup-folder-mode"));
    expect(lines[head]).toMatch(/^\u001b\[33mwarning\u001b\[39m .*backup-folder-mode.* .*it's \$HOME/);
    expect(lines[head + 1]).toMatch(/^ {2}1 archive can be read by others/);
    expect(lines[head + 3]).toMatch(/^ {2}Try: chmod 600 '\/.*\/it'\\''s \$HOME\/.*'$/);
  });

  it("--min-severity leaves out what is below, for the exit code too", async () => {
    openArchive();
    const data = await report(0, "backup", "--min-severity", "error");
    expect(data).toMatchObject({ status: "ok", findings: [], counts: { warning: 0, info: 0 } });
    const warnings = await report(4, "backup", "--min-severity", "warning");
    expect(ids(warnings["findings"])).toEqual(["backup-folder-mode"]);
  });

  it("a server that is down is a finding, and its own checks are skipped", async () => {
    env["DATABASE_URL"] = `postgresql://me:secret-password@127.0.0.1:${await freePort()}/x`;
    const data = await report(4, "postgres");
    expect(data).toMatchObject({
      status: "error",
      findings: [{ check: "connection-refused", severity: "error" }],
      degraded: [{ engine: "postgres", code: "unreachable" }],
    });
    const own = data["checks"].filter(({ area }: { area: string }) => area === "postgres");
    expect(own.length).toBeGreaterThan(5);
    expect(new Set(own.map(({ status }: { status: string }) => status))).toEqual(new Set(["skipped"]));
    expect(JSON.stringify(data)).not.toContain("secret-password");
  });
});

describe("--fix", () => {
  it("asks first: without a terminal and --yes nothing happens", async () => {
    const archive = openArchive();
    const { code, stderr } = await doctor("backup-folder-mode", "--fix");
    expect(code).toBe(2);
    expect(stderr).toContain("chmod 600 ");
    expect(stderr).toContain("repeat with --yes");
    expect(statSync(archive).mode & 0o777).toBe(0o644);
  });

  it("runs what is safe, looks again, and says what is gone", async () => {
    const archive = openArchive();
    mkdirSync(join(archives, ".opsctl-set-dead00"));
    const data = await report(
      0,
      "backup-folder-mode",
      "backup-spools",
      "backup-never-drilled",
      "--fix",
      "--yes",
    );
    expect(statSync(archive).mode & 0o777).toBe(0o600);
    const facts = data["findings"].map(
      (one: { check: string; fixed: boolean; remedies: { result: string | null }[] }) => [
        one.check,
        one.fixed,
        one.remedies.map(({ result }) => result),
      ],
    );
    expect(facts).toEqual([
      ["backup-folder-mode", true, ["done"]],
      // a drill is nothing that runs by itself
      ["backup-never-drilled", false, [null]],
      ["backup-spools", true, ["done"]],
    ]);
    expect(data["counts"]).toMatchObject({ error: 0, warning: 0, info: 1 });
    expect(data["checks"].map(({ status }: { status: string }) => status)).toEqual(
      ["found", "ok", "ok"].toSorted(),
    );
  });

  it("looks at all of it again: a command may change what another check says", async () => {
    const archive = openArchive();
    chmodSync(archives, 0o700);
    rmSync(join(archives, `${basename(archive).split(".")[0]}.json`));
    const checks = ["backup-unverified", "backup-unsigned"];
    // only a sidecar says whether an archive is signed
    expect(ids((await report(4, ...checks))["findings"])).toEqual(["backup-unverified"]);
    const { findings } = await report(0, ...checks, "--fix", "--yes");
    expect(findings).toMatchObject([
      { check: "backup-unverified", fixed: true },
      { check: "backup-unsigned", fixed: false, severity: "info" },
    ]);
  });

  it("a command that fails is reported, with exit 1", async () => {
    env["DATABASE_URL"] = `postgresql://me:secret-password@127.0.0.1:${await freePort()}/x`;
    await box.ok(["remember", "issue:queued", "fixed"], { env });
    const state = new Database(box.state);
    state.exec("UPDATE opsctl_journal SET write_time = write_time - 3600000");
    state.close();
    const { code, stdout, stderr } = await doctor("queue-waiting", "--fix", "--yes", "--json");
    expect(code).toBe(1);
    expect(stderr).toContain("opsctl queue sync");
    expect(JSON.parse(stdout)).toMatchObject({
      status: "warning",
      findings: [{ check: "queue-waiting", fixed: false, remedies: [{ result: "failed" }] }],
    });
  });

  it("names the configuration of this run, and uses it", async () => {
    const archive = openArchive();
    const config = box.file("other stack.toml", `[default]\nOPSCTL_BACKUPS = ${JSON.stringify(archives)}\n`);
    mkdirSync(join(archives, ".opsctl-set-dead00"));
    delete env["OPSCTL_BACKUPS"];
    const data = await report(0, "--config", config, "backup-spools", "--fix", "--yes");
    expect(data["findings"]).toMatchObject([
      {
        fixed: true,
        remedies: [
          {
            argv: ["opsctl", "--config", config, "cleanup", "--only", "spools"],
            command: `opsctl --config '${config}' cleanup --only spools`,
          },
        ],
      },
    ]);
    expect(existsSync(archive)).toBe(true);
  });

  it("with nothing that is safe there is nothing to ask", async () => {
    const { code, stderr } = await doctor("backup-none", "--fix");
    expect([code, stderr]).toEqual([0, "1 finding (1 info), 1 check\n"]);
  });
});
