/** What `opsctl restore` does with a restore that began before. */
import { type RestoreRecord, UNFINISHED } from "../restore/journal.ts";
import { abort, forget, lastDone, resume, rollback, unfinishedOf } from "../restore/later.ts";
import { refuseUnfinished } from "../restore/run.ts";
import type { RestoreTools } from "../restore/subjects.ts";
import { archiveFolder } from "./backup-folder.ts";
import { type Context, confirm, type Result } from "./command.ts";
import type { RestoreFlags } from "./restore.ts";
import { describe, describeUndone, failureOf, render, renderUndone } from "./restore-report.ts";
import { type Source, stagingOf } from "./restore-source.ts";
import { placesOf } from "./restore-targets.ts";
import { restoreLocks, restoreOptions, restoreTools, workParent } from "./restore-tools.ts";

/** `--resume`, `--abort` and `--rollback`. */
export async function goOn(
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
  const stage = await stagingOf(context, { ...source, archive }, archiveFolder(context, flags.dir));
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

/** `--forget`. */
export async function forgetRestores(context: Context, flags: RestoreFlags): Promise<Result> {
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
