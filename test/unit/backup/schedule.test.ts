import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { nextTimes, parseCron } from "../../../src/backup/cron.ts";
import { crontabLine, type Job, onCalendar, serviceUnit, timerUnit } from "../../../src/backup/schedule.ts";

beforeAll(() => {
  process.env["TZ"] = "UTC";
});

const JOB: Job = {
  node: "/opt/node/bin/node",
  program: "/usr/lib/opsctl/bin/opsctl.js",
  args: ["backup"],
  cwd: "/srv/app",
  path: ["/usr/lib/postgresql/15/bin", "/usr/bin", "/bin"],
  user: "backup",
};
/** Everything that a shell, cron or systemd would take for something else. */
const ODD: Job = {
  ...JOB,
  node: "/opt/no de/bin/node",
  args: ["backup", "--config", `/srv/100%/it's "$HOME" \\ #1.toml`],
  cwd: "/srv/50% off",
};

const EXPRESSIONS: [cron: string, systemd: string[]][] = [
  ["0 3 * * *", ["*-*-* 03:00:00"]],
  ["*/15 * * * *", ["*-*-* *:00,15,30,45:00"]],
  ["* * * * *", ["*-*-* *:*:00"]],
  ["30 2 * * mon-fri", ["Mon,Tue,Wed,Thu,Fri *-*-* 02:30:00"]],
  ["0 4 * * 7", ["Sun *-*-* 04:00:00"]],
  ["0 4 1,15 * *", ["*-*-01,15 04:00:00"]],
  ["0 4 1-7 1-6/2 *", ["*-01,03,05-01..07 04:00:00"]],
  ["5-10,50 22-23 * * *", ["*-*-* 22,23:05..10,50:00"]],
  ["0 0 29 2 *", ["*-02-29 00:00:00"]],
  ["0 0 */10 * 1", ["Mon *-*-01,11,21,31 00:00:00"]],
  ["0 0 13 * 5", ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]],
  ["0 0 1-7 * sun,sat", ["*-*-01..07 00:00:00", "Sun,Sat *-*-* 00:00:00"]],
  ["0 12 31 1,3-5 *", ["*-01,03..05-31 12:00:00"]],
];

describe("OnCalendar", () => {
  test.each(EXPRESSIONS)("%s", (cron, systemd) => {
    expect(onCalendar(parseCron(cron))).toEqual(systemd);
  });

  const ANALYZE = "/usr/bin/systemd-analyze";
  const FROM = "2026-11-21 16:30:00 UTC";
  test.each(existsSync(ANALYZE) ? EXPRESSIONS : [])("%s means the same times to systemd", (cron) => {
    const parsed = parseCron(cron);
    const given = ["calendar", "--iterations=8", `--base-time=${FROM}`, ...onCalendar(parsed)];
    const text = execFileSync(ANALYZE, given, { encoding: "utf8", env: { TZ: "UTC", LC_ALL: "C" } });
    const times = [...text.matchAll(/(?:Next elapse|Iteration #\d+|Iter\. #\d+): \w+ (\S+) (\S+) UTC/g)].map(
      ([, day, time]) => `${day}T${time}.000Z`,
    );
    const wanted = nextTimes(parsed, new Date("2026-11-21T16:30:00Z"), 8).map((time) => time.toISOString());
    expect([...new Set(times)].sort().slice(0, 8)).toEqual(wanted);
  });
});

test("the crontab line: absolute paths, PATH set, the output left to the mail", () => {
  expect(crontabLine(parseCron("0 3 * * *"), JOB)).toBe(
    "0 3 * * * cd /srv/app && PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin /opt/node/bin/node /usr/lib/opsctl/bin/opsctl.js backup",
  );
});

test("what a shell gets of the crontab line, after cron took its percent signs, are the words themselves", () => {
  const line = crontabLine(parseCron("0 3 * * *"), {
    ...ODD,
    cwd: "/tmp",
    node: "printf",
    program: "<%s>\\n",
  });
  expect(line).not.toMatch(/[^\\]%/);
  // cron: \% is %, and a bare % ends the command
  const command = line.split(" ").slice(5).join(" ").replaceAll("\\%", "%");
  expect(execFileSync("/bin/sh", ["-c", command], { encoding: "utf8" })).toBe(
    ODD.args.map((word) => `<${word}>\n`).join(""),
  );
});

test("the units", () => {
  expect(serviceUnit(JOB)).toBe(`[Unit]
Description=Backup by opsctl
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
User=backup
WorkingDirectory=/srv/app
Environment=PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin
ExecStart=/opt/node/bin/node /usr/lib/opsctl/bin/opsctl.js backup
UMask=0077
Nice=10
`);
  expect(serviceUnit({ ...JOB, user: undefined })).not.toContain("User=");
  expect(timerUnit(parseCron("0 0 13 * 5"))).toBe(`[Unit]
Description=Backup by opsctl, when it is due

[Timer]
OnCalendar=*-*-13 00:00:00
OnCalendar=Fri *-*-* 00:00:00
Persistent=true

[Install]
WantedBy=timers.target
`);
});

test("odd paths in a unit are quoted as systemd reads them", () => {
  const unit = serviceUnit(ODD);
  expect(unit).toContain("WorkingDirectory=/srv/50%% off\n");
  expect(unit).toContain(
    `ExecStart="/opt/no de/bin/node" /usr/lib/opsctl/bin/opsctl.js backup --config "/srv/100%%/it's \\"$$HOME\\" \\\\ #1.toml"\n`,
  );
});

test("a line break in a path is refused: it would be a line of its own", () => {
  const job = { ...JOB, cwd: "/srv/a\n* * * * * rm -rf x" };
  for (const make of [() => crontabLine(parseCron("0 3 * * *"), job), () => serviceUnit(job)])
    expect(make).toThrow(expect.objectContaining({ code: "usage" }));
});
