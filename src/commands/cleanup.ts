import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Command } from "commander";
import type * as v from "valibot";
import type { RetentionPolicy } from "../backup/retention.ts";
import { throwIfAborted } from "../call.ts";
import type { cleanedUp } from "../contract/backup-list.ts";
import { type Degraded, OpsError, toOpsError, usageError } from "../errors.ts";
import {
  bytesOf,
  CLEANUP_KINDS,
  type CleanupKindName,
  type CleanupOutcome,
  countOf,
  notLooked,
  type PlacedKind,
  runCleanup,
} from "../maintain/cleanup.ts";
import type { Io } from "../output/io.ts";
import { suggest } from "../suggest.ts";
import { archiveFolder, DIR } from "./backup-folder.ts";
import { cleanupKinds, type Kinds } from "./cleanup-kinds.ts";
import { render } from "./cleanup-view.ts";
import { type Context, collect, type Run } from "./command.ts";
import { defineRetention, type RetentionOptions, retentionPolicy } from "./retention-options.ts";

export type CleanedUp = v.InferOutput<typeof cleanedUp>;

interface CleanupOptions extends RetentionOptions {
  dir?: string;
  dryRun?: boolean;
  only?: string[];
}

/** They touch the folder of the archives, where a backup may be at work. */
const LOCKED: readonly CleanupKindName[] = ["spools", "archives"];
/** Of each kind in the answer. */
const SHOWN_ITEMS = 20;

export function define(command: Command, run: Run): void {
  defineRetention(command)
    .option(...DIR)
    .option("--dry-run", "print what would be removed and why; write nothing")
    .option("--only <kinds>", `these kinds alone: ${CLEANUP_KINDS.join(", ")} (repeatable)`, collect)
    .addHelpText(
      "after",
      `
Removes what has had its time, for cron: archives by the policy that a backup applies too, samples and the log of operations
(OPSCTL_KEEP_SAMPLES), tombstones (OPSCTL_KEEP_TOMBSTONES), and what killed runs left behind here and on the servers. Whatever the
policy says, the newest complete and verified archive of each engine stays, and so does everything that is newer than the last good one.
A server that is away is left out: exit code 3.

Examples:
  opsctl cleanup --dry-run
  opsctl cleanup --only samples,tombstones
  opsctl cleanup --keep-daily 7 --keep-weekly 4 --keep-monthly 12`,
    )
    .action(run<CleanupOptions>(cleanup));
}

async function cleanup(context: Context, _args: string[], options: CleanupOptions) {
  const folder = archiveFolder(context, options.dir);
  const policy = retentionPolicy(context.app.config, options);
  const wanted = kindNames(options.only);
  const isDry = options.dryRun === true;
  const kinds = cleanupKinds(context, folder, policy, isDry);
  const chosen = kinds.all.filter(({ kind }) => wanted.includes(kind));
  const outcomes = isDry
    ? await runCleanup(context.call, chosen, true)
    : await remove(context, folder, chosen);
  const data = dataOf(folder, policy, isDry, kinds, outcomes);
  return {
    data,
    render: (io: Io) => render(io, data),
    degraded: data.degraded,
    code: data.degraded.length > 0 ? ("partial" as const) : undefined,
    failure: failureOf(outcomes),
  };
}

/** @throws OpsError `usage` for a kind that does not exist */
function kindNames(only: readonly string[] | undefined): readonly CleanupKindName[] {
  if (only === undefined) return CLEANUP_KINDS;
  const names = only.flatMap((text) => text.split(",")).map((text) => text.trim());
  return names.map((name) => {
    const known = CLEANUP_KINDS.find((kind) => kind === name);
    if (known) return known;
    const hint = suggest(name, CLEANUP_KINDS) ?? `they are: ${CLEANUP_KINDS.join(", ")}`;
    throw usageError(`--only: there is no kind "${name}"`, hint);
  });
}

/** What needs the lock of the archives runs under it; the lock's own note is looked at before, since taking the lock writes another. */
async function remove(
  { app, call }: Context,
  folder: string,
  kinds: readonly PlacedKind[],
): Promise<CleanupOutcome[]> {
  const [before, under, after] = ["locks", "lock", ""].map((place) =>
    kinds.filter(({ kind }) => place === (kind === "locks" ? "locks" : LOCKED.includes(kind) ? "lock" : "")),
  ) as [PlacedKind[], PlacedKind[], PlacedKind[]];
  const outcomes = await runCleanup(call, before, false);
  if (under.length > 0 && !existsSync(folder)) outcomes.push(...(await runCleanup(call, under, false)));
  else if (under.length > 0) {
    try {
      const lock = await app.backupLock(call, folder);
      try {
        outcomes.push(...(await runCleanup(call, under, false)));
      } finally {
        await lock.release();
      }
    } catch (error) {
      throwIfAborted(call);
      outcomes.push(...under.map((kind) => notLooked(kind, toOpsError(error))));
    }
  }
  return [...outcomes, ...(await runCleanup(call, after, false))];
}

function dataOf(
  folder: string,
  policy: RetentionPolicy,
  isDry: boolean,
  { archives }: Kinds,
  outcomes: readonly CleanupOutcome[],
): CleanedUp {
  const gone = (outcome: CleanupOutcome) => (isDry ? outcome.items : outcome.removed);
  const of = (kind: CleanupKindName) => outcomes.filter((outcome) => outcome.kind === kind);
  const removed = of("archives").flatMap(gone);
  const failures = new Map(
    of("archives").flatMap((outcome) =>
      [...outcome.failures].map(([item, error]) => [item.subject, error.message]),
    ),
  );
  const swept = of("spools").flatMap((outcome) => outcome.removed.map(({ subject }) => subject));
  return {
    dir: folder,
    dry_run: isDry,
    policy: described(policy),
    archives: archives.plan().map(({ archive, action, reasons }) => ({
      name: archive.name,
      action,
      reasons,
      size_bytes: archive.size_bytes,
      error: failures.get(archive.path) ?? null,
    })),
    removed_count: removed.length,
    removed_bytes: bytesOf(removed),
    swept: swept.filter((path) => dirname(path) === folder).map((path) => path.slice(folder.length + 1)),
    kinds: outcomes.map((outcome) => ({
      kind: outcome.kind,
      engine: outcome.engine,
      found: countOf(outcome.items),
      removed: countOf(outcome.removed),
      size_bytes: bytesOf(gone(outcome)),
      error: outcome.error?.message ?? null,
      items: outcome.items
        .slice(0, SHOWN_ITEMS)
        .map(({ subject, why, count, size_bytes }) => ({ subject, why, count, size_bytes })),
    })),
    degraded: degradedOf(outcomes),
  };
}

/** Nothing of a file here: what restores still need on a server is in the state file. */
const isOfServer = ({ engine, error }: CleanupOutcome) =>
  engine !== null && engine !== "sqlite" && error?.engine !== "sqlite";

/** Servers that could not be looked at, each once. */
function degradedOf(outcomes: readonly CleanupOutcome[]): Degraded[] {
  const away = outcomes.flatMap((outcome) =>
    isOfServer(outcome) && outcome.error
      ? [{ engine: outcome.engine!, code: outcome.error.code, message: outcome.error.message }]
      : [],
  );
  return [...new Map(away.map((one) => [`${one.engine} ${one.message}`, one])).values()];
}

/** What failed on this host; of several things the first, and how many. */
function failureOf(outcomes: readonly CleanupOutcome[]): OpsError | undefined {
  const failed = outcomes.filter((outcome) => !isOfServer(outcome) && outcome.error);
  const errors = [
    ...new Map(
      failed
        .flatMap(({ error, failures }) => (failures.size > 0 ? [...failures.values()] : [error!]))
        .map((error) => [error.message, error]),
    ).values(),
  ];
  const [first] = errors;
  if (!first || errors.length === 1) return first;
  const { code, message, hint } = first;
  return new OpsError({
    code,
    message: `${errors.length} things were not removed; the first: ${message}`,
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
