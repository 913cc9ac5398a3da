import * as v from "valibot";
import { text, time } from "./common.ts";

export const backupSchedule = v.strictObject({
  /** The five fields, in numbers. */
  schedule: text,
  /** In whose time the schedule is. */
  time_zone: text,
  crontab: text,
  /** Content of opsctl-backup.service. */
  service: text,
  /** Content of opsctl-backup.timer. */
  timer: text,
  /** The next three times. */
  next: v.array(time),
  /** What is missing where cron or systemd run it, a line each. */
  notes: v.array(text),
});
