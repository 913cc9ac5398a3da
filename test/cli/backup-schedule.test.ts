import { realpathSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { BIN, Sandbox } from "../support/cli.ts";

let box: Sandbox;
beforeEach(() => {
  box = new Sandbox({ shared: true });
});
afterEach(() => box.remove());

const schedule = (args: string[], env: Record<string, string> = {}, before: string[] = []) =>
  box.json("backup schedule", [...before, "backup", "schedule", ...args], { env: { TZ: "UTC", ...env } });

test("a line for cron and two units, with what runs here", async () => {
  const data = await schedule(["30 2 * * mon-FRI", "--user", "backup"]);
  expect(data).toMatchObject({
    schedule: "30 2 * * 1-5",
    time_zone: "UTC",
    timer: expect.stringContaining("OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 02:30:00\nPersistent=true\n"),
    service: expect.stringContaining(
      `User=backup\nWorkingDirectory=${realpathSync(box.cwd)}\nEnvironment=PATH=/`,
    ),
    notes: [expect.stringContaining("neither cron nor systemd has: OPSCTL_DB, OPSCTL_STATE;")],
  });
  expect(data["service"]).toContain(`ExecStart=${process.execPath} ${BIN} backup\n`);
  expect(data["crontab"]).toMatch(/^30 2 \* \* 1-5 cd \/\S+ && PATH=\/\S+ \S+ \S+ backup$/);
  expect(data["next"]).toHaveLength(3);
  for (const time of data["next"]) {
    expect(time).toMatch(/T02:30:00\.000Z$/);
    expect(new Date(time).getUTCDay() % 6).toBeGreaterThan(0);
    expect(Date.parse(time)).toBeGreaterThan(Date.now());
  }
});

test("the file that was named is named again, the one that lies there is found there", async () => {
  const named = box.file("other.toml", "[default]\n[night]\n");
  expect((await schedule(["@daily"], { OPSCTL_CONFIG: "other.toml" }))["crontab"]).toMatch(
    new RegExp(` backup --config ${realpathSync(named)}$`),
  );
  const data = await schedule(["@daily"], {}, ["--config", "other.toml", "--profile", "night"]);
  expect(data["service"]).toContain(` backup --config ${realpathSync(named)} --profile night\n`);
  box.file("opsctl.toml", "[default]\n");
  expect((await schedule(["@daily"]))["crontab"]).toMatch(/ backup$/);
});

test("what is printed runs: the crontab line makes a backup", async () => {
  const env = { OPSCTL_DB: join(box.cwd, "app.db") };
  await box.ok(["remember", "issue:a", "restarted"], { env });
  box.file("opsctl.toml", '[default]\nOPSCTL_BACKUPS = "kept"\n');
  const { crontab } = await schedule(["0 3 * * *"]);
  const command = String(crontab).split(" ").slice(5).join(" ").replaceAll("\\%", "%");
  const ran = await box.shell(`cd / && ${command}; opsctl backup list --json`, env);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  const listed = await box.json("backup list", ["backup", "list"], { env });
  expect(listed["backups"]).toMatchObject([{ state: "complete", engines: ["sqlite"] }]);
});

test("in a zone whose clock changes, a time that is touched by it is warned of", async () => {
  const { time_zone, notes, next } = await schedule(["30 2 * * *"], { TZ: "Europe/Berlin" });
  expect(time_zone).toBe("Europe/Berlin");
  expect(notes).toContainEqual(
    expect.stringMatching(/the clock of Europe\/Berlin leaves out or repeats a time/),
  );
  expect(next[0]).toMatch(/T0[01]:30:00\.000Z$/);
});

test.each([
  [["0 25 * * *"], /hour: "25" is outside its limits/],
  [["0 3 * * *", "--user", "no body"], /--user: "no body" is no name of a user/],
  [[], /missing required argument|schedule/],
])("%j is refused", async (args, message) => {
  const ran = await box.run(["backup", "schedule", ...args]);
  expect(ran).toMatchObject({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
});

test.each(["BEFORE", "AFTER"])("a hook %s in a file that lies there is no command to run", async (name) => {
  box.file("opsctl.toml", `[default]\nOPSCTL_BACKUP_${name} = "touch ${box.cwd}/was-run"\n`);
  const ran = await box.shell("opsctl backup; code=$?; ls; exit $code");
  expect(ran).toMatchObject({ code: 2, stdout: "opsctl.toml\n" });
  expect(ran.stderr).toContain(
    `OPSCTL_BACKUP_${name}: a file found in the working directory may not run a command`,
  );
});
