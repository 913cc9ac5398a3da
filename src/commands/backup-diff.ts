import type { Command } from "commander";
import type * as v from "valibot";
import { findArchive } from "../backup/archives.ts";
import { diffSets } from "../backup/diff.ts";
import { countLive } from "../backup/live.ts";
import type { Metadata } from "../backup/metadata.ts";
import type { backupDiff } from "../contract/backup-list.ts";
import { OpsError } from "../errors.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { archiveFolder, DIR } from "./backup-folder.ts";
import { allParts, ownSettings } from "./backup-parts.ts";
import type { Context, Run } from "./command.ts";

type Diff = v.InferOutput<typeof backupDiff>;

/** In place of an archive. */
const LIVE = "live";

interface DiffOptions {
  dir?: string;
  exitCode?: boolean;
}

export function defineDiff(command: Command, run: Run): void {
  command
    .command("diff")
    .description("compare the counts of two archives, or of one with what is there now")
    .argument("<a>", "an archive: its name, its path, or latest")
    .argument(
      "<b>",
      "another one, or live: what is there now, which takes as long as a backup and keeps nothing",
    )
    .option(...DIR)
    .option("--exit-code", "exit with 4 when they differ")
    .action(run<DiffOptions>(diff));
}

async function diff(context: Context, [a, b]: string[], { dir, exitCode }: DiffOptions) {
  const folder = archiveFolder(context, dir);
  const left = await metadataOf(folder, a!);
  const right = b === LIVE ? await liveParts(context, left) : await metadataOf(folder, b!);
  const difference = diffSets(left, right);
  const isSame = difference.changes.length + difference.parts.length === 0;
  const data: Diff = { a: left.name, b: right.name, same: isSame, ...difference };
  return {
    data,
    render: (io: Io) => render(io, data),
    code: exitCode && !isSame ? ("no" as const) : undefined,
  };
}

/** Counted now, of those engines that the archive has. */
async function liveParts(context: Context, { parts: kept }: Metadata) {
  const engines = new Set(kept.map(({ engine }) => engine));
  const parts = (await allParts(context)).filter(({ engine }) => engines.has(engine));
  const stallMs = context.app.config.durationMs("OPSCTL_BACKUP_STALL");
  const options = { parts, stallMs, ownSettings: ownSettings(context) };
  return { name: LIVE, parts: await countLive(context.call, options) };
}

async function metadataOf(folder: string, name: string): Promise<Metadata> {
  const { sidecar, problem, path } = await findArchive(folder, name);
  if (sidecar) return sidecar.metadata;
  throw new OpsError({
    code: problem === null ? "not_found" : "integrity",
    message: problem ?? `${path} has no sidecar: what it holds is not known`,
    hint: "compare archives that `opsctl backup list` shows with their engines",
  });
}

/** Columns of `backup diff`: engine, part, what, amount in a, in b, change. A part that is not whole has its states for amounts. */
const COLUMNS: readonly Column<Diff["changes"][number]>[] = [
  { header: "ENGINE", value: ({ engine }) => engine },
  { header: "PART", value: ({ part }) => part },
  { header: "WHAT", value: ({ name }) => name, flexible: true },
  { header: "A", value: ({ a }) => a, align: "right" },
  { header: "B", value: ({ b }) => b, align: "right" },
  {
    header: "CHANGE",
    value: ({ change }) => (change > 0 ? `+${change}` : change),
    style: ({ change }) => (change < 0 ? "red" : "green"),
    align: "right",
  },
];

async function render(io: Io, { a, b, parts, changes, unchanged }: Diff): Promise<void> {
  await printTable(io, COLUMNS, changes);
  for (const part of parts)
    io.note(
      `${part.engine} ${part.name}: ${part.a ?? "not there"} in ${a}, ${part.b ?? "not there"} in ${b}`,
    );
  io.note(`${a} → ${b}: ${changes.length} amounts changed, ${unchanged} the same`);
}
