/** What a host needs to make backups by itself: a line for cron, or two units for systemd. */
import { usageError } from "../errors.ts";
import type { Cron } from "./cron.ts";

/** What is run, and where. */
export interface Job {
  /** Absolute: cron has a short PATH. */
  node: string;
  program: string;
  args: readonly string[];
  /** Working directory: relative paths of settings begin there. */
  cwd: string;
  /** Folders in which pg_dump and others are found. */
  path: readonly string[];
  /** Whose job it is; undefined: of whoever runs the service manager. */
  user: string | undefined;
}

/** Name of the units. */
export const UNIT = "opsctl-backup";
/** Debian's cron and cronie cut a longer command. */
export const MAX_CRON_CHARS = 990;

/**
 * A line of a crontab. A backup prints one line when all is well, which cron sends as mail with whatever troubles it had.
 * @throws OpsError `usage` for a path that no crontab can hold
 */
export function crontabLine(cron: Cron, { node, program, args, cwd, path }: Job): string {
  const words = [node, program, ...args].map(shellQuoted).join(" ");
  const command = `cd ${shellQuoted(cwd)} && PATH=${shellQuoted(path.join(":"))} ${words}`;
  // to cron a bare % is the end of the line
  return `${cron.text} ${command.replaceAll("%", "\\%")}`;
}

function shellQuoted(text: string): string {
  requireLine(text);
  return /^[\w@+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function requireLine(text: string): void {
  if (/[\0-\x1f\x7f]/.test(text))
    throw usageError(`a path or name with a control character cannot be scheduled`, "rename it");
}

/** The unit that runs it. @throws as `crontabLine` */
export function serviceUnit({ node, program, args, cwd, path, user }: Job): string {
  requireLine(cwd);
  return `[Unit]
Description=Backup by opsctl
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
${user === undefined ? "" : `User=${user}\n`}WorkingDirectory=${cwd.replaceAll("%", "%%")}
Environment=${unitQuoted(`PATH=${path.join(":")}`)}
ExecStart=${[node, program, ...args].map((word) => unitQuoted(word).replaceAll("$", "$$$$")).join(" ")}
UMask=0077
Nice=10
`;
}

/** As systemd.syntax(7) and systemd.unit(5) have it: C escapes in double quotes, specifiers begin with %. */
function unitQuoted(text: string): string {
  requireLine(text);
  const plain = text.replaceAll("%", "%%");
  return /^[\w@+=:,./%$-]+$/.test(plain) ? plain : `"${plain.replaceAll(/["\\]/g, "\\$&")}"`;
}

/** The unit that starts the other one; a time that passed while the host was off is made up for. */
export function timerUnit(cron: Cron): string {
  const lines = onCalendar(cron).map((expression) => `OnCalendar=${expression}\n`);
  return `[Unit]
Description=Backup by opsctl, when it is due

[Timer]
${lines.join("")}Persistent=true

[Install]
WantedBy=timers.target
`;
}

const WEEKDAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/**
 * The same times as systemd writes them (systemd.time(7)), in the host's time zone. There a day must match both day and weekday; where cron asks
 * for either, it takes two expressions, and a timer that is due by both runs once.
 */
export function onCalendar(cron: Cron): string[] {
  const { minutes, hours, days, months, weekdays, eitherDay } = cron;
  const time = `${listed(hours, 24)}:${listed(minutes, 60)}:00`;
  const week = weekdays.length === 7 ? "" : `${weekdays.map((day) => WEEKDAYS[day]).join(",")} `;
  const expression = (weekday: string, day: string) => `${weekday}*-${listed(months, 12)}-${day} ${time}`;
  const day = listed(days, 31);
  return eitherDay ? [expression("", day), expression(week, "*")] : [expression(week, day)];
}

/** Two digits each, three and more in a row as a range. */
function listed(values: readonly number[], all: number): string {
  if (values.length === all) return "*";
  const two = (value: number) => String(value).padStart(2, "0");
  const runs: number[][] = [];
  for (const value of values) {
    const run = runs.at(-1);
    if (run?.at(-1) === value - 1) run.push(value);
    else runs.push([value]);
  }
  return runs
    .map((run) => (run.length > 2 ? `${two(run[0]!)}..${two(run.at(-1)!)}` : run.map(two).join(",")))
    .join(",");
}
