import type { Command } from "commander";
import type * as v from "valibot";
import { listArchives } from "../backup/archives.ts";
import type { Metadata } from "../backup/metadata.ts";
import type { backupList } from "../contract/backup-list.ts";
import { age, bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { archiveFolder, DIR, drillText, STATE_STYLES, summarize, verifiedText } from "./backup-folder.ts";
import { type Context, integer, type Run } from "./command.ts";

type List = v.InferOutput<typeof backupList>;
type Row = List["backups"][number];

export interface ListOptions {
  dir?: string;
  limit: number;
  offset: number;
}

export function defineList(command: Command, run: Run): void {
  command
    .command("list")
    .description("list archives, newest first")
    .option(...DIR)
    .option("--limit <n>", "rows", integer("--limit", 1, 100_000), 100)
    .option("--offset <n>", "rows to pass over", integer("--offset", 0, 1_000_000_000), 0)
    .addHelpText(
      "after",
      `
State: complete; incomplete (a part failed); damaged; missing (only the sidecar is there); unknown (no sidecar).`,
    )
    .action(run<ListOptions>(list));
}

/** Also what `restore` without an archive prints. */
export async function list(context: Context, _args: string[], { dir, limit, offset }: ListOptions) {
  const folder = archiveFolder(context, dir);
  const now = Date.now();
  const archives = await listArchives(folder);
  const metadata = new Map(archives.map(({ path, sidecar }) => [path, sidecar?.metadata]));
  // `latest` is one of all, whatever the limit
  const newestFirst = summarize(archives, now).reverse();
  const rows = newestFirst.slice(offset, offset + limit).map((row) => ({
    ...row,
    parts: (metadata.get(row.path)?.parts ?? []).map(({ engine, name, state, consistency }) => ({
      engine,
      name,
      state,
      consistency,
    })),
  }));
  const data: List = {
    dir: folder,
    backups: rows,
    count: rows.length,
    total: archives.length,
    limit,
    offset,
  };
  return { data, render: (io: Io) => printTable(io, columns(now, metadata), rows) };
}

/** Columns of `backup list`: name, age (a pipe: the time), size, engines, state, consistency, verified (level and when), problem, last drill. */
function columns(now: number, metadata: ReadonlyMap<string, Metadata | undefined>): readonly Column<Row>[] {
  return [
    { header: "NAME", value: ({ name }) => name },
    {
      header: "AGE",
      value: ({ created_at: createdAt }) => createdAt,
      shown: ({ age_ms: ms }) => (ms === null ? "?" : age(ms)),
      align: "right",
    },
    {
      header: "SIZE",
      value: ({ size_bytes: size }) => size,
      shown: ({ size_bytes: size }) => bytes(size),
      align: "right",
    },
    { header: "ENGINES", value: ({ engines }) => engines.join(" ") },
    { header: "STATE", value: ({ state }) => state, style: ({ state }) => STATE_STYLES[state] },
    {
      header: "CONSISTENCY",
      value: ({ consistency }) => consistency,
      style: ({ consistency }) => (consistency === "fuzzy" ? "yellow" : undefined),
    },
    {
      header: "VERIFIED",
      value: ({ verified }) => verifiedText(verified),
      shown: ({ verified }) => verifiedText(verified, now) ?? "–",
    },
    { header: "PROBLEM", value: ({ problem }) => problem, flexible: true },
    {
      header: "DRILLED",
      value: ({ drill, path }) => drillText(drill, metadata.get(path)),
      shown: ({ drill, path }) => drillText(drill, metadata.get(path), now) ?? "–",
      style: ({ drill }) => (drill?.ok === false ? "red" : undefined),
    },
  ];
}
