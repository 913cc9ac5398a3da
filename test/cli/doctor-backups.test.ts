/** Checks of archives, restores and the queue: planted, found, mended by their own commands, gone. */
import { chmodSync, cpSync, mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Found } from "../../src/health/doctor/check.ts";
import { backupsOf, lastArchive } from "../support/backup.ts";
import { Sandbox } from "../support/cli.ts";
import { mend } from "../support/doctor.ts";
import { type LookOptions, look } from "../support/doctor-scope.ts";
import { DAY, HOUR, type SetFacts, writeSet } from "../unit/backup/sets.ts";

let box: Sandbox;
const now = Date.now();
/** A memory and one archive of it, made once. */
const base = new Sandbox();
beforeAll(async () => {
  await base.ok(["remember", "issue:a", "fixed"]);
  await base.ok(["backup"]);
});
afterAll(() => base.remove());
beforeEach(() => {
  box = new Sandbox();
});
afterEach(() => box.remove());

/** What the base has: the memory, and its archive too. */
function copyMemory(): void {
  cpSync(base.db, box.db);
}
function copyArchive(): void {
  copyMemory();
  cpSync(base.state, box.state);
  cpSync(backupsOf(base), backupsOf(box), { recursive: true });
  chmodSync(backupsOf(box), 0o700);
}

/** Sets of so long ago, oldest first, of the embedded file. */
function plant(ages: readonly number[], facts: Partial<SetFacts> = {}): string[] {
  mkdirSync(backupsOf(box), { recursive: true });
  return ages.map((age, nth) =>
    writeSet(backupsOf(box), {
      at: now - age,
      sequence: nth + 1,
      name: `set-${nth + 1}`,
      engines: ["sqlite"],
      ...facts,
    }),
  );
}

const seen = (found: readonly Found[]) => found.map(({ severity, evidence }) => `${severity} ${evidence}`);
const later = (ms: number): LookOptions => ({ over: { now: Date.now() + ms } });

describe("a real backup", () => {
  it("none at all is worth knowing, and worth a warning after a week", async () => {
    copyMemory();
    const [first, ...more] = await look(box, "backup-none");
    expect(first).toMatchObject({ severity: "info", subject: backupsOf(box) });
    expect(more).toEqual([]);
    expect(seen(await look(box, "backup-none", later(9 * DAY)))).toEqual([
      expect.stringMatching(/^warning it holds no archive, and opsctl has been in use here for 9 days$/),
    ]);
    await mend(box, {}, first!);
    expect(await look(box, "backup-none")).toEqual([]);
  });

  it("grows old, and a new one mends that", async () => {
    copyArchive();
    expect(await look(box, "backup-too-old", later(25 * HOUR))).toEqual([]);
    const [old] = await look(box, "backup-too-old", later(27 * HOUR));
    expect(old).toMatchObject({ severity: "warning" });
    expect(old!.evidence).toMatch(/is 27 hours old; 26 hours are allowed \(backup_age\)/);
    expect(await look(box, "backup-too-old", later(4 * DAY))).toMatchObject([{ severity: "error" }]);
    const env = { OPSCTL_THRESHOLDS: "backup_age=100" };
    expect(await look(box, "backup-too-old", { env, ...later(4 * DAY) })).toEqual([]);
  });

  it("that nobody verified is verified by its remedy", async () => {
    copyArchive();
    const archive = lastArchive(backupsOf(box));
    rmSync(join(dirname(archive), `${archive.split("/").at(-1)!.split(".")[0]}.json`));
    const [found] = await look(box, "backup-unverified");
    expect(found).toMatchObject({ severity: "warning", subject: archive, remedies: [{ safe: true }] });
    await mend(box, {}, found!);
    expect(await look(box, "backup-unverified")).toEqual([]);
  });

  it("that was never drilled is drilled by its remedy, and the drill grows old", async () => {
    copyArchive();
    const [never] = await look(box, "backup-never-drilled");
    expect(never).toMatchObject({ severity: "info" });
    expect(await look(box, "backup-never-drilled", later(31 * DAY))).toMatchObject([{ severity: "warning" }]);
    await mend(box, {}, never!);
    expect(await look(box, "backup-never-drilled", later(31 * DAY))).toEqual([]);
    expect(await look(box, "backup-drill-old", later(29 * DAY))).toEqual([]);
    expect(await look(box, "backup-drill-old", later(31 * DAY))).toMatchObject([{ severity: "warning" }]);
  });

  it("that others can read is closed by its remedy", async () => {
    copyArchive();
    expect(await look(box, "backup-folder-mode")).toEqual([]);
    const archive = lastArchive(backupsOf(box));
    chmodSync(archive, 0o644);
    // behind a folder that is closed nobody gets to it
    expect(await look(box, "backup-folder-mode")).toEqual([]);
    chmodSync(backupsOf(box), 0o755);
    const [found] = await look(box, "backup-folder-mode");
    expect(found!.remedies).toEqual([{ argv: ["chmod", "600", archive], safe: true }]);
    await mend(box, {}, found!);
    expect(statSync(archive).mode & 0o777).toBe(0o600);
    expect(await look(box, "backup-folder-mode")).toEqual([]);
  });

  it("is said to be neither signed nor encrypted nor elsewhere", async () => {
    copyArchive();
    for (const id of ["backup-unsigned", "backup-unencrypted", "backup-same-disk"])
      expect(await look(box, id)).toMatchObject([{ severity: "info", remedies: [] }]);
    await box.ok(["backup"], { env: { OPSCTL_BACKUP_SIGNING_KEY: "k".repeat(64) } });
    expect(await look(box, "backup-unsigned")).toEqual([]);
  });

  it("that was killed leaves spools, which cleanup removes", async () => {
    mkdirSync(join(backupsOf(box), ".opsctl-set-dead00"), { recursive: true });
    const [found] = await look(box, "backup-spools");
    expect(found).toMatchObject({ severity: "info", subject: backupsOf(box) });
    // while somebody works there, they may be his
    expect(await look(box, "backup-spools", { over: { archivesInUse: async () => true } })).toEqual([]);
    await mend(box, {}, found!);
    expect(await look(box, "backup-spools")).toEqual([]);
  });
});

describe("archives as they may lie there", () => {
  it("an engine that is in none", async () => {
    plant([HOUR], { engines: ["postgres"] });
    const [found] = await look(box, "backup-engine-missing");
    expect(found).toMatchObject({
      severity: "warning",
      remedies: [{ argv: ["opsctl", "backup", "sqlite"] }],
    });
    copyMemory();
    await mend(box, {}, found!);
    expect(await look(box, "backup-engine-missing")).toEqual([]);
  });

  it("one of which a part failed", async () => {
    plant([2 * HOUR]);
    expect(await look(box, "backup-incomplete")).toEqual([]);
    plant([2 * HOUR, HOUR], { state: "incomplete" });
    const [found] = await look(box, "backup-incomplete");
    expect(seen([found!])).toEqual(["warning failed: sqlite app (the server does not answer)"]);
    copyMemory();
    await mend(box, {}, found!);
    expect(await look(box, "backup-incomplete")).toEqual([]);
  });

  it("one that is damaged: an error when it is the newest", async () => {
    plant([3 * HOUR]);
    expect(await look(box, "backup-damaged")).toEqual([]);
    plant([3 * HOUR], { state: "damaged" });
    expect(await look(box, "backup-damaged")).toMatchObject([{ severity: "error" }]);
    copyMemory();
    await box.ok(["backup"]);
    expect(await look(box, "backup-damaged")).toMatchObject([{ severity: "warning", remedies: [] }]);
  });

  it.each([
    ["four nights", [73, 49, 25, 1].map((hours) => hours * HOUR), 30 * HOUR, []],
    ["four nights, then two without", [73, 49, 25, 1].map((hours) => hours * HOUR), 50 * HOUR, ["warning"]],
    ["three are no rhythm", [49, 25, 1].map((hours) => hours * HOUR), 90 * HOUR, []],
    ["by hand, minutes apart", [5, 4, 3, 2, 1].map((minutes) => minutes * 60_000), 90 * HOUR, []],
    ["by hand, at any time", [90, 30, 25, 2].map((hours) => hours * HOUR), 200 * HOUR, []],
  ] as const)("a rhythm: %s", async (_title, ages, after, expected) => {
    plant(ages);
    const over = { root: box.dir, now: now + after };
    const found = await look(box, "backup-schedule-missed", { over });
    expect(found.map(({ severity }) => severity)).toEqual(expected);
  });

  it("a crontab and a timer whose time has passed", async () => {
    plant([HOUR]);
    const root = join(box.dir, "root");
    const lookAt = (ms: number) =>
      look(box, "backup-schedule-missed", { over: { root, now: now + ms } }).then(seen);
    const cron = join(root, "etc/cron.d/opsctl");
    mkdirSync(dirname(cron), { recursive: true });
    writeFileSync(
      cron,
      "# 0 * * * * root opsctl backup\n0 3 * * * root /usr/bin/opsctl backup verify latest\n",
    );
    expect(await lookAt(3 * DAY)).toEqual([]);
    writeFileSync(cron, "MAILTO=ops\n0 3 * * * root cd /srv && /usr/bin/node /opt/bin/opsctl.js backup\n");
    expect(await lookAt(0)).toEqual([]);
    expect(await lookAt(3 * DAY)).toEqual([
      expect.stringMatching(
        /^warning \/etc\/cron\.d\/opsctl has a backup at "0 3 \* \* \*", and the one of /,
      ),
    ]);
    rmSync(cron);
    const stamp = join(root, "var/lib/systemd/timers/stamp-opsctl-backup.timer");
    mkdirSync(dirname(stamp), { recursive: true });
    writeFileSync(stamp, "");
    utimesSync(stamp, now / 1000 + 3600, now / 1000 + 3600);
    expect(await lookAt(2 * HOUR)).toEqual([]);
    expect(await lookAt(4 * HOUR)).toEqual([
      expect.stringMatching(/^warning opsctl-backup\.timer started a backup at .*left no good archive/),
    ]);
  });
});

describe("restores of the journal", () => {
  /** Writes what a restore that went so far leaves in the state file. */
  async function journal(state: string, finished: number | null): Promise<void> {
    copyArchive();
    await box.ok(["restore", "latest", "--yes"]);
    const file = new Database(box.state);
    file.prepare("UPDATE opsctl_restores SET state = ?, finished_at = ?").run(state, finished);
    file.close();
  }

  it("one that was cut off is found, and gone on with", async () => {
    await journal("undoing", null);
    const [found] = await look(box, "restore-unfinished");
    expect(found).toMatchObject({ severity: "error", remedies: [{ safe: false }] });
    expect(found!.advice).toContain("opsctl restore --abort");
    expect(await look(box, "restore-unfinished", { over: { archivesInUse: async () => true } })).toEqual([]);
    await box.ok(["restore", "--abort", "--yes"]);
    expect(await look(box, "restore-unfinished")).toEqual([]);
  });

  it("what is kept of one is forgotten by its remedy", async () => {
    await journal("done", now);
    expect(await look(box, "restore-undo-kept")).toEqual([]);
    const [found] = await look(box, "restore-undo-kept", later(8 * DAY));
    expect(found).toMatchObject({ severity: "info" });
    await mend(box, {}, found!);
    expect(await look(box, "restore-undo-kept", later(8 * DAY))).toEqual([]);
  });
});
