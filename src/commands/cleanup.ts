import { existsSync } from "node:fs";
import type { Command } from "commander";
import type * as v from "valibot";
import { listArchives } from "../backup/archives.ts";
import {
  type Applied,
  applyRetention,
  type Planned,
  planRetention,
  type RetentionPolicy,
} from "../backup/retention.ts";
import { sweepWork } from "../backup/work.ts";
import type { cleanedUp } from "../contract/backup-list.ts";
import { OpsError } from "../errors.ts";
import { bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { archiveFolder, DIR } from "./backup-folder.ts";
import type { Context, Run } from "./command.ts";
import { defineRetention, type RetentionOptions, retentionPolicy } from "./retention-options.ts";

type CleanedUp = v.InferOutput<typeof cleanedUp>;

interface CleanupOptions extends RetentionOptions {
  dir?: string;
  dryRun?: boolean;
}

export function define(command: Command, run: Run): void {
  defineRetention(command)
    .option(...DIR)
    .option("--dry-run", "print what would be removed and why; write nothing")
    .addHelpText(
      "after",
      `
Removes archives by the policy that a backup applies too, and what killed runs left behind. Whatever the policy says, the
newest complete and verified archive of each engine stays, and so does everything that is newer than the last good one.

Examples:
  opsctl cleanup --dry-run
  opsctl cleanup --keep-daily 7 --keep-weekly 4 --keep-monthly 12`,
    )
    .action(run<CleanupOptions>(cleanup));
}

async function cleanup(context: Context, _args: string[], options: CleanupOptions) {
  const folder = archiveFolder(context, options.dir);
  const policy = retentionPolicy(context.app.config, options);
  const isDry = options.dryRun === true;
  const { plan, applied, swept } =
    isDry || !existsSync(folder) ? await foresee(folder, policy) : await remove(context, folder, policy);
  const errors = new Map(applied.failed.map(({ archive, error }) => [archive, error.message]));
  const data: CleanedUp = {
    dir: folder,
    dry_run: isDry,
    policy: described(policy),
    archives: plan.map(({ archive, action, reasons }) => ({
      name: archive.name,
      action,
      reasons,
      size_bytes: archive.size_bytes,
      error: errors.get(archive) ?? null,
    })),
    removed_count: applied.removed.length,
    removed_bytes: applied.removed.reduce((sum, { size_bytes: size }) => sum + size, 0),
    swept,
  };
  return { data, render: (io: Io) => render(io, data), failure: failureOf(applied) };
}

interface Cleaned {
  plan: Planned[];
  applied: Applied;
  swept: string[];
}

async function foresee(folder: string, policy: RetentionPolicy): Promise<Cleaned> {
  const plan = planRetention(await listArchives(folder), policy, Date.now());
  const removed = plan.filter(({ action }) => action === "remove").map(({ archive }) => archive);
  return { plan, applied: { removed, failed: [] }, swept: [] };
}

async function remove({ app, call }: Context, folder: string, policy: RetentionPolicy): Promise<Cleaned> {
  const lock = await app.backupLock(call, folder);
  try {
    const swept = await sweepWork(folder);
    const plan = planRetention(await listArchives(folder), policy, Date.now());
    return { plan, applied: await applyRetention(call, plan), swept };
  } finally {
    await lock.release();
  }
}

function failureOf({ failed }: Applied): OpsError | undefined {
  const [first] = failed;
  if (!first || failed.length === 1) return first?.error;
  const { code, message, hint } = first.error;
  return new OpsError({
    code,
    message: `${failed.length} archives were not removed; the first: ${message}`,
    ...(hint === undefined ? {} : { hint }),
  });
}

function described(policy: RetentionPolicy): CleanedUp["policy"] {
  const rules = "days" in policy ? {} : policy;
  return {
    days: "days" in policy ? policy.days : null,
    keep_last: rules.last ?? null,
    keep_daily: rules.daily ?? null,
    keep_weekly: rules.weekly ?? null,
    keep_monthly: rules.monthly ?? null,
    keep_yearly: rules.yearly ?? null,
    keep_within_ms: rules.withinMs ?? null,
  };
}

/** Columns of `cleanup`: name, action, size, why. */
const COLUMNS: readonly Column<CleanedUp["archives"][number]>[] = [
  { header: "NAME", value: ({ name }) => name },
  {
    header: "ACTION",
    value: ({ action, error }) => (error === null ? action : "failed"),
    style: ({ action, error }) => (error !== null ? "red" : action === "remove" ? "yellow" : undefined),
  },
  {
    header: "SIZE",
    value: ({ size_bytes: size }) => size,
    shown: ({ size_bytes: size }) => bytes(size),
    align: "right",
  },
  { header: "WHY", value: ({ reasons, error }) => error ?? reasons.join("; "), flexible: true },
];

async function render(io: Io, data: CleanedUp): Promise<void> {
  await printTable(io, COLUMNS, data.archives);
  for (const name of data.swept) io.note(`${name}: left behind by a run that was killed, removed`);
  const verb = data.dry_run ? "would be removed" : "removed";
  const kept = data.archives.length - data.removed_count;
  io.note(`${data.dir}: ${data.removed_count} ${verb} (${bytes(data.removed_bytes)}), ${kept} kept`);
}
