/** Whether backups come as they should: by the rhythm of the last ones, and by the crontabs and timers of this host. */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { nextTimes, parseCron } from "../../../backup/cron.ts";
import { UNIT } from "../../../backup/schedule.ts";
import { timeline } from "../../../backup/timeline.ts";
import type { Check, Found } from "../check.ts";
import type { StackScope } from "../scope.ts";
import { HOUR_MS, MINUTE_MS, span } from "../words.ts";
import { setsIn } from "./backup-scope.ts";

/** Intervals that make a rhythm; of fewer, and of shorter ones, nothing is concluded: somebody made them by hand. */
const INTERVALS = 3;
const SHORTEST_MS = 30 * MINUTE_MS;
/** How far an interval may be from the usual one. */
const SPREAD = 0.5;
/** A backup may take so long after its time. */
const GRACE_MS = 2 * HOUR_MS;

export const backupScheduleMissed: Check<StackScope> = {
  id: "backup-schedule-missed",
  area: "backup",
  title: "a backup did not come at its time",
  looks: `the rhythm of the last archives; lines of crontabs with "opsctl … backup"; the stamp of ${UNIT}.timer`,
  async run(_call, scope) {
    const times = timeline(await setsIn(scope), scope.now).flatMap(({ at, isTrusted }) =>
      isTrusted ? [at!] : [],
    );
    const newest = times.at(-1);
    if (newest === undefined) return [];
    const missed =
      (await missedByCron(scope, newest)) ??
      (await missedByTimer(scope, newest)) ??
      missedByRhythm(scope, times, newest);
    return missed === null ? [] : [missed];
  },
};

function finding(scope: StackScope, evidence: string, newest: number): Found {
  return {
    severity: "warning",
    subject: scope.files.archives,
    evidence: `${evidence}; the newest good archive is ${span(scope.now - newest)} old`,
    cause: "the job was taken out, its host was off, or it fails before it makes an archive",
    remedies: [{ argv: ["opsctl", "backup"], safe: false }],
    advice: `look at crontab -l, systemctl list-timers ${UNIT}.timer and journalctl -u ${UNIT}`,
  };
}

function missedByRhythm(scope: StackScope, times: readonly number[], newest: number): Found | null {
  const last = times.slice(-11);
  const intervals = last.slice(1).map((at, nth) => at - last[nth]!);
  const median = intervals.toSorted((a, b) => a - b)[Math.floor(intervals.length / 2)] ?? 0;
  const isRegular = intervals.every((interval) => Math.abs(interval - median) <= SPREAD * median);
  if (intervals.length < INTERVALS || median < SHORTEST_MS || !isRegular) return null;
  if (scope.now - newest <= 2 * median) return null;
  return finding(scope, `the last ${last.length} archives came every ${span(median)}`, newest);
}

/** Five fields or a word, in the crontabs of the system a user, then opsctl with backup and none of its other verbs. */
const LINE =
  /^\s*(@\w+|(?:\S+\s+){4}\S+)\s+(.*\bopsctl\b.*\bbackup\b(?!\s+(?:verify|list|show|diff|drill|schedule|grants)).*)$/;

async function missedByCron(scope: StackScope, newest: number): Promise<Found | null> {
  for (const { path, text } of await crontabs(scope.root)) {
    for (const line of text.split("\n")) {
      const schedule = line.trimStart().startsWith("#") ? undefined : LINE.exec(line)?.[1];
      const due = schedule === undefined ? undefined : nextOf(schedule, newest);
      if (due === undefined || scope.now - due <= GRACE_MS) continue;
      return finding(
        scope,
        `${path} has a backup at "${schedule!.trim()}", and the one of ${new Date(due).toISOString()} is missing`,
        newest,
      );
    }
  }
  return null;
}

function nextOf(schedule: string, after: number): number | undefined {
  try {
    return nextTimes(parseCron(schedule), new Date(after), 1)[0]?.getTime();
  } catch {
    // @reboot, and what is no schedule
    return undefined;
  }
}

/** Those that can be read; a user's own are mostly root's to read. */
async function crontabs(root: string): Promise<{ path: string; text: string }[]> {
  const inFolder = async (folder: string) =>
    (await readdir(join(root, folder)).catch(() => [])).map((name) => join(folder, name));
  const paths = [
    "/etc/crontab",
    ...(await inFolder("/etc/cron.d")),
    ...(await inFolder("/var/spool/cron/crontabs")),
    ...(await inFolder("/var/spool/cron")),
  ].filter((path) => basename(path) !== "crontabs");
  const read = paths.map(async (path) => {
    const text = await readFile(join(root, path), "utf8").catch(() => null);
    return text === null ? [] : [{ path, text }];
  });
  return (await Promise.all(read)).flat();
}

/** systemd touches the stamp of a persistent timer whenever it starts the unit (systemd.timer(5)). */
async function missedByTimer(scope: StackScope, newest: number): Promise<Found | null> {
  const stamp = await stat(join(scope.root, `/var/lib/systemd/timers/stamp-${UNIT}.timer`)).catch(
    () => undefined,
  );
  const started = stamp?.mtimeMs;
  if (started === undefined || started <= newest || scope.now - started <= GRACE_MS) return null;
  const at = new Date(started).toISOString();
  return finding(scope, `${UNIT}.timer started a backup at ${at}, and it left no good archive`, newest);
}
