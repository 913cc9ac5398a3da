import type { Command } from "commander";
import type * as v from "valibot";
import { findArchive, latest, listArchives } from "../backup/archives.ts";
import { estimateRestore } from "../backup/drilled.ts";
import type { FileMetadata, PartMetadata } from "../backup/metadata.ts";
import type { shownBackup } from "../contract/backup-list.ts";
import { escapeCell } from "../output/escape.ts";
import { age, bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { archiveFolder, DIR, drillText, estimateText, summarize, verifiedText } from "./backup-folder.ts";
import type { Context, Run } from "./command.ts";

type Shown = v.InferOutput<typeof shownBackup>;

export function defineShow(command: Command, run: Run): void {
  command
    .command("show")
    .description("show all that is known of one archive")
    .argument("<archive>", "its name, its path, or latest: the newest that is complete and verified")
    .option(...DIR)
    .addHelpText(
      "after",
      "\nExamples:\n  opsctl backup show latest\n  opsctl backup show latest --json | jq .metadata.parts",
    )
    .action(run<{ dir?: string }>(show));
}

async function show(context: Context, [name]: string[], { dir }: { dir?: string }) {
  const folder = archiveFolder(context, dir);
  const now = Date.now();
  const archive = await findArchive(folder, name!);
  const [row] = summarize([archive], now);
  const { sidecar } = archive;
  const data: Shown = {
    ...row!,
    latest: latest(await listArchives(folder))?.path === archive.path,
    sha256: sidecar?.sha256 ?? null,
    damaged: sidecar?.damaged ?? null,
    restore_estimate: await estimateRestore(archive),
    metadata: sidecar?.metadata ?? null,
  };
  return { data, render: (io: Io) => render(io, data, now) };
}

async function render(io: Io, data: Shown, now: number): Promise<void> {
  const { metadata } = data;
  await printFields(io, archiveFields(data, now));
  if (metadata === null) return;
  for (const part of metadata.parts) {
    await io.out("\n");
    await printFields(io, partFields(part));
    await printFields(
      io,
      Object.entries(part.snapshot).map(([key, value]) => [`snapshot ${key}`, value]),
    );
    for (const note of part.notes) await printFields(io, [["note", note]]);
  }
  await io.out("\n");
  await printTable(io, FILE_COLUMNS, metadata.files);
}

type Field = [name: string, value: string | number | boolean | null];

function archiveFields(data: Shown, now: number): Field[] {
  const { metadata } = data;
  const created = data.age_ms === null ? null : `${data.created_at} (${age(data.age_ms)} ago)`;
  return [
    ["name", data.name],
    ["path", data.path],
    ["state", data.state],
    ["problem", data.problem],
    ["created", created],
    ["size", `${bytes(data.size_bytes)} (${data.container}${data.encrypted ? ", encrypted" : ""})`],
    ["sha256", data.sha256],
    [
      "verified",
      data.verified ? `${verifiedText(data.verified)} (${verifiedText(data.verified, now)})` : "not yet",
    ],
    ["drilled", drilledText(data, now)],
    ["restore", estimateText(data.restore_estimate)],
    ["consistency", data.consistency],
    ["skew", data.skew_ms === null ? null : `${data.skew_ms} ms`],
    ["sequence", data.sequence],
    ["id", metadata?.id ?? null],
    ["made by", metadata ? `${metadata.actor}, opsctl ${metadata.opsctl_version}` : null],
    ["finished", metadata?.finished_at ?? null],
  ];
}

function drilledText({ drill, metadata }: Shown, now: number): string | null {
  const text = drillText(drill, metadata ?? undefined);
  return text && `${text} (${drillText(drill, metadata ?? undefined, now)})`;
}

function partFields(part: PartMetadata): Field[] {
  const tools = part.tools.map(({ name, version }) => `${name} ${version}`).join(", ");
  return [
    ["part", `${part.engine} ${part.name}`],
    ["source", part.source],
    ["state", part.state],
    ["error", part.error ? `${part.error.code}: ${part.error.message}` : null],
    ["consistency", part.reason === null ? part.consistency : `${part.consistency}: ${part.reason}`],
    ["started", part.started_at],
    ["snapshot", part.snapshot_at],
    ["finished", part.finished_at],
    ["server", part.server_version],
    ["tools", tools === "" ? null : tools],
    ["holds", amounts(part.counts)],
    ["of it", amounts(part.breakdown)],
  ];
}

function amounts(counts: Record<string, number>): string | null {
  const texts = Object.entries(counts).map(([name, count]) => `${count} ${name}`);
  return texts.length === 0 ? null : texts.join(", ");
}

/** A line each; a pipe gets a tab between name and value. What is not known is left out. */
async function printFields(io: Io, fields: readonly Field[]): Promise<void> {
  for (const [name, value] of fields) {
    if (value === null) continue;
    const label = escapeCell(name);
    const start = io.stdoutIsTty
      ? `${io.style("bold", label)}${" ".repeat(Math.max(1, 14 - label.length))}`
      : `${label}\t`;
    await io.out(`${start}${escapeCell(String(value))}\n`);
  }
}

/** Columns of the files in `backup show`: path, kind, bytes, SHA-256. */
const FILE_COLUMNS: readonly Column<FileMetadata>[] = [
  { header: "FILE", value: ({ path }) => path },
  { header: "KIND", value: ({ kind }) => kind },
  {
    header: "SIZE",
    value: ({ size_bytes: size }) => size,
    shown: ({ size_bytes: size }) => bytes(size),
    align: "right",
  },
  { header: "SHA-256", value: ({ sha256 }) => sha256, flexible: true },
];
