/** `backup schedule`: prints what cron or systemd need; installs nothing. */
import { statSync } from "node:fs";
import { userInfo } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import type { Command } from "commander";
import type * as v from "valibot";
import { type Cron, clockChange, nextTimes, parseCron } from "../backup/cron.ts";
import { crontabLine, type Job, MAX_CRON_CHARS, serviceUnit, timerUnit, UNIT } from "../backup/schedule.ts";
import type { backupSchedule } from "../contract/backup-schedule.ts";
import { usageError } from "../errors.ts";
import { escapeText } from "../output/escape.ts";
import type { Io } from "../output/io.ts";
import type { Context, Run } from "./command.ts";

type Schedule = v.InferOutput<typeof backupSchedule>;

const TIMES = 3;
/** What cron and systemd have besides. */
const FALLBACK_PATH = ["/usr/local/bin", "/usr/bin", "/bin"];

export function defineSchedule(command: Command, run: Run): void {
  command
    .command("schedule")
    .description("print the crontab line and the systemd units that run the backup; installs nothing")
    .argument("<schedule>", 'five fields of cron, for example "0 3 * * *", or @daily, @weekly, @monthly …')
    .option("--user <name>", "whose job it is (default: who runs this command)")
    .addHelpText(
      "after",
      `
The backup runs in the present working directory with the present PATH and configuration file. Times are those of the host's time zone. Where
day of month and day of week are both given, cron runs on either: systemd gets two lines then.

Examples:
  opsctl backup schedule "0 3 * * *"
  opsctl backup schedule "30 2 * * mon-fri" --user backup`,
    )
    .action(run<{ user?: string }>(schedule));
}

async function schedule(context: Context, [text]: string[], { user = currentUser() }: { user?: string }) {
  const cron = parseCron(text!);
  const job = jobOf(context, user);
  const now = new Date();
  const crontab = crontabLine(cron, job);
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const data: Schedule = {
    schedule: cron.text,
    time_zone: zone,
    crontab,
    service: serviceUnit(job),
    timer: timerUnit(cron),
    next: nextTimes(cron, now, TIMES).map((time) => time.toISOString()),
    notes: [...environmentNotes(context), ...clockNotes(cron, now, zone), ...lengthNotes(crontab)],
  };
  return { data, render: (io: Io) => print(io, data, user) };
}

function currentUser(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    // a user id without a name, as in many containers
    return undefined;
  }
}

function jobOf({ app, globals }: Context, user: string | undefined): Job {
  const { cwd, env, file } = app.config;
  if (user !== undefined && !/^[A-Za-z_][\w.-]*\$?$/.test(user))
    throw usageError(`--user: "${user}" is no name of a user`, "name a user of this host");
  const isFound = globals.config === undefined && !env["OPSCTL_CONFIG"] && file === join(cwd, "opsctl.toml");
  return {
    node: process.execPath,
    program: resolve(process.argv[1]!),
    args: [
      "backup",
      // what lies in the working directory is found there; any other file is named
      ...(file === null || isFound ? [] : ["--config", file]),
      ...(globals.profile === undefined ? [] : ["--profile", globals.profile]),
    ],
    cwd,
    path: foldersOf(env["PATH"] ?? ""),
    user,
  };
}

/** Those of PATH that are there, each once. */
function foldersOf(path: string): string[] {
  const isFolder = (name: string) =>
    isAbsolute(name) && statSync(name, { throwIfNoEntry: false })?.isDirectory() === true;
  return [...new Set([...path.split(":"), ...FALLBACK_PATH])].filter(isFolder);
}

/** Settings that this shell has, and cron has not. */
function environmentNotes({ app }: Context): string[] {
  const names = app.config.resolved
    .filter(({ source }) => source.split(",")[0] === "environment")
    .map(({ setting }) => setting.name);
  if (names.length === 0) return [];
  return [
    `set in this environment only, which neither cron nor systemd has: ${names.join(", ")}; put them into opsctl.toml, or into a file that the service names by EnvironmentFile=`,
  ];
}

function clockNotes(cron: Cron, now: Date, zone: string): string[] {
  const day = clockChange(cron, now);
  if (day === undefined) return [];
  const date = `${day.getFullYear()}-${String(day.getMonth() + 1).padStart(2, "0")}-${String(day.getDate()).padStart(2, "0")}`;
  return [
    `on ${date} the clock of ${zone} leaves out or repeats a time of this schedule: it may run late, twice or not at all; take another hour`,
  ];
}

function lengthNotes(crontab: string): string[] {
  if (crontab.length <= MAX_CRON_CHARS) return [];
  return [
    `the crontab line has ${crontab.length} characters, and cron takes ${MAX_CRON_CHARS}: shorten PATH first`,
  ];
}

async function print(io: Io, { crontab, service, timer, next, time_zone, notes }: Schedule, user = "root") {
  const text = `# Either cron: add this line with \`crontab -u ${user} -e\` (with >/dev/null at its end, cron sends mail only about troubles)
${crontab}

# or systemd: write two files, then run
#   systemctl daemon-reload && systemctl enable --now ${UNIT}.timer
# /etc/systemd/system/${UNIT}.service
${service}
# /etc/systemd/system/${UNIT}.timer
${timer}
# Times are those of ${time_zone}. Next: ${next.join(", ")}
`;
  await io.out(io.stdoutIsTty ? escapeText(text) : text);
  for (const note of notes) io.note(note, "warning:");
}
