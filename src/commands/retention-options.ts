/** Which archives are kept, as flags and settings say it: shared by `backup create` and `cleanup`. */
import type { Command } from "commander";
import type { RetentionPolicy } from "../backup/retention.ts";
import type { Config } from "../config/load.ts";
import { usageError } from "../errors.ts";
import { duration, integer } from "./command.ts";

export interface RetentionOptions {
  retentionDays?: number;
  keepLast?: number;
  keepDaily?: number;
  keepWeekly?: number;
  keepMonthly?: number;
  keepYearly?: number;
  /** ms */
  keepWithin?: number;
}

const most = 100_000;

export function defineRetention(command: Command): Command {
  return command
    .option(
      "--retention-days <n>",
      "keep archives for so many days, counted from the newest good one; 0 keeps all (default: RETENTION_DAYS)",
      integer("--retention-days", 0, 36_500),
    )
    .option("--keep-last <n>", "keep the last N archives; any --keep-… replaces the days", rule("last"))
    .option(
      "--keep-daily <n>",
      "keep the last archive of each of the last N days that have one",
      rule("daily"),
    )
    .option("--keep-weekly <n>", "the same by week", rule("weekly"))
    .option("--keep-monthly <n>", "the same by month", rule("monthly"))
    .option("--keep-yearly <n>", "the same by year", rule("yearly"))
    .option(
      "--keep-within <duration>",
      "keep all that are not older than this, counted from the newest good one",
      duration("--keep-within"),
    );
}

const rule = (name: string) => integer(`--keep-${name}`, 1, most);

/**
 * The policy: flags before settings. A flag for days replaces the rules of the settings, and rules replace the days of the settings.
 * @throws OpsError `usage` when flags ask for both
 */
export function retentionPolicy(config: Config, options: RetentionOptions): RetentionPolicy {
  const { retentionDays: days } = options;
  const flags = {
    last: options.keepLast,
    daily: options.keepDaily,
    weekly: options.keepWeekly,
    monthly: options.keepMonthly,
    yearly: options.keepYearly,
    withinMs: options.keepWithin,
  };
  if (days !== undefined) {
    if (!isAny(flags)) return { days };
    throw usageError("--retention-days and --keep-… are given", "use days, or rules");
  }
  const number = (name: Parameters<Config["integer"]>[0]) =>
    config.text(name) === undefined ? undefined : config.integer(name);
  const rules = {
    last: flags.last ?? number("OPSCTL_KEEP_LAST"),
    daily: flags.daily ?? number("OPSCTL_KEEP_DAILY"),
    weekly: flags.weekly ?? number("OPSCTL_KEEP_WEEKLY"),
    monthly: flags.monthly ?? number("OPSCTL_KEEP_MONTHLY"),
    yearly: flags.yearly ?? number("OPSCTL_KEEP_YEARLY"),
    withinMs:
      flags.withinMs ??
      (config.text("OPSCTL_KEEP_WITHIN") === undefined ? undefined : config.durationMs("OPSCTL_KEEP_WITHIN")),
  };
  return isAny(rules) ? rules : { days: config.integer("RETENTION_DAYS") };
}

function isAny(rules: object): boolean {
  return Object.values(rules).some((value) => value !== undefined);
}
