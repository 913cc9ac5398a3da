/** `opsctl restore`: which of its ways is meant, and the way through each. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { findArchive } from "../backup/archives.ts";
import { type EngineName, OpsError, usageError } from "../errors.ts";
import { sweepFolders } from "../restore/folder.ts";
import { type RestoreRecord, UNFINISHED } from "../restore/journal.ts";
import { abort, forget, lastDone, resume, rollback, unfinishedOf } from "../restore/later.ts";
import { type Planned, refuseUnfinished, restoreSet } from "../restore/run.ts";
import { type StagedSet, type StageOptions, stageSet } from "../restore/stage.ts";
import type { RestoreTools } from "../restore/subjects.ts";
import { archiveFolder } from "./backup-folder.ts";
import { list } from "./backup-list.ts";
import { type Context, confirm, type Result } from "./command.ts";
import { engineNames, isEngineName } from "./engines.ts";
import type { RestoreFlags } from "./restore.ts";
import { describe, describeUndone, notePlan, render, renderUndone } from "./restore-report.ts";
import { placesOf } from "./restore-targets.ts";
import { restoreLocks, restoreOptions, restoreTools, workParent } from "./restore-tools.ts";
import { noteUnfinished } from "./restore-unfinished.ts";

const WAYS = ["rollback", "forget", "resume", "abort"] as const;

export async function restore(context: Context, args: string[], flags: RestoreFlags): Promise<Result> {
  const { archive, only } = namedOf(args, flags.only ?? []);
  const ways = WAYS.filter((way) => flags[way]);
  if (ways.length > 1)
    throw usageError(`--${ways[0]} and --${ways[1]} contradict each other`, "use one of them");
  const [way] = ways;
  if (way) {
    const what = archive ?? (flags.fromFile === undefined ? flags.only?.[0] : "--from-file");
    if (what !== undefined)
      throw usageError(
        `--${way} is about the last restore as a whole, and "${what}" was named, too`,
        "leave it out",
      );
    return way === "forget" ? forgetRestores(context, flags) : goOn(context, flags, way);
  }
  if (archive !== undefined && flags.fromFile !== undefined)
    throw usageError(`--from-file and the archive "${archive}" contradict each other`, "name one of them");
  if (archive === undefined && flags.fromFile === undefined) {
    const odd =
      only.length > 0 || flags.yes || flags.dryRun || flags.trustArchive || flags.targetDb !== undefined;
    if (odd) throw usageError("which archive?", "name one, or latest; opsctl restore lists them");
    await noteUnfinished(context);
    return list(context, [], { ...flags, limit: 100, offset: 0 });
  }
  return restoreArchive(context, flags, archive, only);
}

/** `--only` takes all that follows it: what is no engine is the archive. */
function namedOf(args: readonly string[], only: readonly string[]) {
  const words = only.flatMap((word) => word.split(",")).map((word) => word.trim());
  const last = words.at(-1);
  const isArchive =
    args.length === 0 && last !== undefined && words.length > 1 && !isEngineName(last) && last !== "all";
  const engines = isArchive ? words.slice(0, -1) : words;
  const archive = isArchive ? last : args[0];
  if (archive === "")
    throw usageError("the archive's name is empty", "name one, or latest; opsctl restore lists them");
  const all = ["neo4j", "postgres", "redis", "sqlite"] as const;
  return { archive, only: engines.length === 0 || engines.includes("all") ? [] : engineNames(engines, all) };
}

/** What is restored, and how it is taken out of its container: the same again when it is resumed. */
interface Source {
  archive: string;
  /** It is a single file of this engine. */
  file: EngineName | null;
  engines: readonly EngineName[] | undefined;
}

async function stagingOf(
  { app, call }: Context,
  flags: Pick<RestoreFlags, "dir" | "trustArchive">,
  source: Source,
  folderOfArchives: string,
): Promise<(folder: string, known?: string) => Promise<StagedSet>> {
  const { text } = app.config;
  const catalogue = await app.catalogue();
  const base = (folder: string, known: string | undefined): StageOptions => ({
    folder,
    engines: source.engines,
    identity: text("OPSCTL_BACKUP_IDENTITY"),
    signingKey: text("OPSCTL_BACKUP_SIGNING_KEY"),
    knows: async (sha256) => sha256 === known || (await catalogue.knows(call, sha256)),
    trust: flags.trustArchive === true,
  });
  if (source.file === null) {
    const archive = await findArchive(folderOfArchives, source.archive);
    return (folder, known) => stageSet(call, archive, base(folder, known));
  }
  const engine = source.file;
  const { stageFile } = await import("../restore/foreign-file.ts");
  return (folder, known) => stageFile(call, resolve(source.archive), engine, base(folder, known));
}

async function restoreArchive(
  context: Context,
  flags: RestoreFlags,
  named: string | undefined,
  only: readonly EngineName[],
): Promise<Result> {
  const { call, io } = context;
  const startedAt = performance.now();
  if (flags.fromFile !== undefined && only.length !== 1)
    throw usageError(
      "--from-file holds one engine's data",
      "say which with --only, for example --only postgres",
    );
  if (flags.fromFile === "") throw usageError("--from-file is empty", "name a file");
  const archives = archiveFolder(context, flags.dir);
  const options = restoreOptions(context, flags);
  const places = placesOf(context, flags);
  const others = only.filter((engine) => places.only !== undefined && engine !== places.only);
  if (others.length > 0)
    throw usageError(
      `${flags.into === undefined ? "--target-db" : "--into"} is for ${places.only}, and --only names ${others.join(", ")}`,
      "leave --only out",
    );
  const tools = await restoreTools(context, options, places);
  const parent = workParent(context);
  const isDry = flags.dryRun === true;
  const owner = `${hostname()}:${context.app.stateFile}`;
  // a dry run, too: its folder is swept by the next restore otherwise
  const locks = await restoreLocks(context, [archives, archiveFolder(context, undefined), parent]);
  try {
    const restores = await tools.journal.list(call);
    if (!isDry) refuseUnfinished(restores);
    const inUse = restores.filter(({ state }) => state !== "undone" && state !== "forgotten");
    const ids = inUse.map(({ id }) => id);
    if (!isDry) await sweepFolders(parent, owner, ids);
    const source: Source = {
      archive: named === undefined ? resolve(flags.fromFile!) : named,
      file: named === undefined ? only[0]! : null,
      engines: places.only ? [places.only] : only.length === 0 ? undefined : only,
    };
    const stage = await stagingOf(context, flags, source, archives);
    requireAnswer(context, flags, named ?? flags.fromFile!);
    const { planned, restored } = await restoreSet(call, tools, {
      stage,
      place: places.place,
      parent,
      owner,
      request: JSON.stringify({ ...source, archive: source.file === null ? "" : source.archive }),
      decide: (plan) => {
        places.requireUse(plan.restore.parts);
        return decide(context, flags, plan);
      },
    });
    const data = describe(planned, restored, isDry, Math.round(performance.now() - startedAt));
    for (const warning of data.warnings) io.note(warning, "warning:");
    return {
      data,
      render: (out) => render(out, data, planned),
      failure: failureOf(data.parts, data.warnings),
    };
  } finally {
    await locks.release();
  }
}

/** @throws OpsError `usage` where nobody can be asked: before the archive is read, which may take its time */
function requireAnswer({ globals }: Context, { dryRun, yes }: RestoreFlags, what: string): void {
  const isInteractive = globals.input && process.stdin.isTTY && process.stderr.isTTY;
  if (dryRun || yes || isInteractive) return;
  throw usageError(
    `restoring ${what} replaces live data and needs a confirmation`,
    "repeat with --yes, or --dry-run to look first",
  );
}

/** Shows the plan and asks for the archive's name. */
async function decide(context: Context, { dryRun, yes }: RestoreFlags, plan: Planned): Promise<boolean> {
  const { call, io } = context;
  context.clearProgress();
  await notePlan(io, plan);
  if (dryRun) return false;
  if (yes) return true;
  const { name } = plan.restore;
  const { ask } = await import("../output/prompt.ts");
  const answer = await ask(`Type ${name} to replace the live data: `, call.signal);
  if (answer.trim() === name) return true;
  throw new OpsError({
    code: "failed",
    message: "not confirmed; nothing was changed",
    hint: `type the archive's name, ${name}`,
  });
}

/** What was restored counts before the services around it. */
function failureOf(
  parts: ReturnType<typeof describe>["parts"],
  warnings: readonly string[],
): OpsError | undefined {
  const bad = parts.find(({ problems }) => problems.length > 0);
  if (bad)
    return new OpsError({
      code: "integrity",
      engine: bad.engine,
      message: `${bad.engine} ${bad.name} was restored and is not what the archive says: ${bad.problems[0]}`,
      hint: "opsctl restore --rollback brings back what was there before",
    });
  const hook = warnings.find((text) => text.startsWith("OPSCTL_RESTORE_START"));
  return hook === undefined
    ? undefined
    : new OpsError({
        code: "partial",
        message: hook,
        hint: "the data are restored; start what uses them by hand",
      });
}

/** `--resume`, `--abort` and `--rollback`. */
async function goOn(
  context: Context,
  flags: RestoreFlags,
  way: "resume" | "abort" | "rollback",
): Promise<Result> {
  const { call, io } = context;
  const startedAt = performance.now();
  const elapsed = () => Math.round(performance.now() - startedAt);
  const tools = await restoreTools(context, restoreOptions(context, flags), placesOf(context, flags));
  const locks = await restoreLocks(context, [archiveFolder(context, flags.dir), workParent(context)]);
  try {
    const restores = await tools.journal.list(call);
    if (way === "rollback") refuseUnfinished(restores);
    const id = typeof flags.rollback === "string" ? flags.rollback : undefined;
    const record = way === "rollback" ? lastDone(restores, id) : unfinishedOf(restores);
    if (way === "resume" && record.state !== "undoing")
      return await resumeRestore(context, flags, tools, record);
    if (way === "rollback") await confirmRollback(context, flags, record);
    const warnings = await (way === "rollback" ? rollback : abort)(call, tools, record);
    const data = describeUndone(record, warnings, elapsed());
    for (const warning of warnings) io.note(warning, "warning:");
    return { data, render: (out) => renderUndone(out, data), failure: failureOf([], warnings) };
  } finally {
    await locks.release();
  }
}

async function resumeRestore(
  context: Context,
  flags: RestoreFlags,
  tools: RestoreTools,
  restore: RestoreRecord,
): Promise<Result> {
  const { call, io } = context;
  const startedAt = performance.now();
  const source = JSON.parse(restore.request) as Source;
  const archive = source.file === null ? restore.path : source.archive;
  const stage = await stagingOf(context, flags, { ...source, archive }, archiveFolder(context, flags.dir));
  const resumed = await resume(call, tools, restore, (folder) => stage(folder, restore.sha256));
  const reported = { ...resumed, restore };
  const data = describe(reported, resumed.restored, false, Math.round(performance.now() - startedAt));
  for (const warning of data.warnings) io.note(warning, "warning:");
  return {
    data,
    render: (out) => render(out, data, reported),
    failure: failureOf(data.parts, data.warnings),
  };
}

async function confirmRollback(
  context: Context,
  { yes }: RestoreFlags,
  { name, finished_at: at }: RestoreRecord,
) {
  const since = at === null ? "" : ` of ${new Date(at).toISOString()}`;
  await confirm(
    context,
    yes,
    `Undo the restore of ${name}${since} and lose what was written since`,
    "repeat with --yes",
  );
}

async function forgetRestores(context: Context, flags: RestoreFlags): Promise<Result> {
  const { call } = context;
  const tools = await restoreTools(context, restoreOptions(context, flags), placesOf(context, flags));
  const locks = await restoreLocks(context, [archiveFolder(context, flags.dir), workParent(context)]);
  try {
    const kept = (await tools.journal.list(call)).filter(
      ({ state }) => state !== "undone" && state !== "forgotten",
    );
    const open = kept.find(({ state }) => UNFINISHED.includes(state));
    const what =
      open === undefined
        ? `Remove what ${kept.length} restore${kept.length === 1 ? "" : "s"} kept of the data before`
        : `Give up the restore ${open.id} of ${open.name}, which is not over (${open.state}), leave the data as they are, and remove what was kept of those before`;
    if (kept.length > 0) await confirm(context, flags.yes, what, "repeat with --yes");
    await forget(call, tools, kept);
    const data = { restores: kept.map(({ id, name }) => ({ id, name })), count: kept.length };
    const names = kept.map(({ name }) => name).join(", ");
    return { data, render: (io) => io.out(`${names === "" ? "nothing was kept" : `forgotten: ${names}`}\n`) };
  } finally {
    await locks.release();
  }
}
