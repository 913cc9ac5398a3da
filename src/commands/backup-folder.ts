/** The folder of archives, and what the commands that only look at it share. */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import type * as v from "valibot";
import { type Archive, latest } from "../backup/archives.ts";
import { type Estimate, notDrilled, onlyRead } from "../backup/drilled.ts";
import type { Metadata } from "../backup/metadata.ts";
import { timeOf } from "../backup/timeline.ts";
import type { backupList } from "../contract/backup-list.ts";
import { OpsError, usageError } from "../errors.ts";
import { age, isoTime } from "../output/human.ts";
import type { Style } from "../output/io.ts";
import type { Context } from "./command.ts";

export const DIR = ["--dir <folder>", "folder of the archives (default: OPSCTL_BACKUPS)"] as const;

/**
 * The folder that is meant, absolute.
 * @throws OpsError `usage` for what is no folder, `not_found` for one that is named and missing; the configured one may not be there yet
 */
export function archiveFolder({ app }: Context, dir: string | undefined): string {
  if (dir === "") throw usageError("--dir is empty", "name a folder");
  const folder = resolve(app.config.cwd, dir ?? app.config.text("OPSCTL_BACKUPS")!);
  const stats = statSync(folder, { throwIfNoEntry: false });
  if (stats && !stats.isDirectory())
    throw usageError(`${folder} is no folder`, "name the folder of the archives with --dir");
  if (stats || dir === undefined) return folder;
  throw new OpsError({
    code: "not_found",
    message: `there is no folder ${folder}`,
    hint: "check --dir",
  });
}

type Row = Omit<v.InferOutput<typeof backupList>["backups"][number], "parts">;

/**
 * What `list` and `show` say of each archive.
 * @param archives oldest first
 */
export function summarize(archives: readonly Archive[], now: number): Row[] {
  const newest = latest(archives)?.path;
  return archives.map((archive) => summary(archive, newest, now));
}

function summary(archive: Archive, newest: string | undefined, now: number): Row {
  const { name, path, container, encrypted, size_bytes, sidecar } = archive;
  const metadata = sidecar?.metadata;
  const createdAt = timeOf(archive);
  const whole = metadata?.parts.filter(({ state }) => state === "complete") ?? [];
  return {
    sequence: metadata?.sequence ?? null,
    name,
    path,
    container,
    encrypted,
    size_bytes,
    created_at: createdAt === null ? null : isoTime(createdAt),
    age_ms: createdAt === null ? null : now - createdAt,
    engines: [...new Set(whole.map(({ engine }) => engine))],
    state: stateOf(archive),
    consistency: metadata?.consistency ?? null,
    skew_ms: metadata?.skew_ms ?? null,
    verified: sidecar?.verified ?? null,
    problem: archive.problem ?? sidecar?.damaged?.message ?? (sidecar === null ? "it has no sidecar" : null),
    latest: path === newest,
    signed: sidecar !== null && sidecar.signature !== null,
    drill: sidecar?.drill ?? null,
  };
}

function stateOf({ sidecar, isMissing, problem }: Archive): Row["state"] {
  if (sidecar === null) return "unknown";
  if (isMissing) return "missing";
  return problem !== null || sidecar.damaged !== null ? "damaged" : sidecar.metadata.state;
}

export const STATE_STYLES: Readonly<Record<Row["state"], Style | undefined>> = {
  complete: undefined,
  incomplete: "yellow",
  damaged: "red",
  missing: "red",
  unknown: "yellow",
};

/** `checksums 2h ago` for people; `checksums 2026-11-21T03:00:09Z` for programs. */
export function verifiedText(verified: Row["verified"], now?: number): string | null {
  if (verified === null) return null;
  return now === undefined
    ? `${verified.level} ${verified.at}`
    : `${verified.level} ${age(now - Date.parse(verified.at))} ago`;
}

/**
 * `ok 2h ago` for people, `ok 2026-11-21T03:00:09Z` for programs; `partly` when some parts were left out, and in brackets what was only read.
 * @param metadata undefined: the archive has none
 */
export function drillText(drill: Row["drill"], metadata: Metadata | undefined, now?: number): string | null {
  if (drill === null || metadata === undefined) return null;
  const isWhole = notDrilled(metadata, drill).length === 0;
  const read = onlyRead(drill);
  const result = drill.ok ? (isWhole ? "ok" : "partly") : "failed";
  const when = now === undefined ? drill.at : `${age(now - Date.parse(drill.at))} ago`;
  return `${result} ${when}${read.length === 0 ? "" : ` (${read.join(", ")} read only)`}`;
}

/** How long a restore may take. */
export function estimateText(estimate: Estimate | null): string | null {
  if (estimate === null) return null;
  const { duration_ms: ms, from, without } = estimate;
  const rest = without.length === 0 ? "" : `, and ${without.join(" and ")}`;
  return `about ${(ms / 1000).toFixed(1)} s by the drill of ${from}${rest}`;
}
