/** `opsctl restore`: which of its ways is meant, and the way through each. */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { type EngineName, OpsError, usageError } from "../errors.ts";
import { sweepFolders } from "../restore/folder.ts";
import { type Planned, refuseUnfinished, restoreSet } from "../restore/run.ts";
import { archiveFolder } from "./backup-folder.ts";
import { list } from "./backup-list.ts";
import type { Context, Result } from "./command.ts";
import { engineNames, isEngineName } from "./engines.ts";
import type { RestoreFlags } from "./restore.ts";
import { forgetRestores, goOn } from "./restore-later.ts";
import { describe, failureOf, notePlan, render } from "./restore-report.ts";
import { type Source, stagingOf } from "./restore-source.ts";
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
      trust: flags.trustArchive === true,
      engines: places.only ? [places.only] : only.length === 0 ? undefined : only,
    };
    const stage = await stagingOf(context, source, archives);
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
