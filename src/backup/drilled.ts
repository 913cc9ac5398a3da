/** What drills have shown of the archives of a folder. */
import { dirname } from "node:path";
import type { EngineName } from "../errors.ts";
import { type Archive, isGood, listArchives } from "./archives.ts";
import type { DrillRecord, Metadata } from "./metadata.ts";

/** Whether all of it was restored once, and nothing was found since that speaks against it. */
export function isDrilled(archive: Archive): boolean {
  return isGood(archive) && archive.sidecar!.verified!.level === "drill";
}

/** The newest set that passed a drill; undefined: none did. @param archives oldest first */
export function lastDrilled(archives: readonly Archive[]): Archive | undefined {
  return archives.findLast((archive) => isDrilled(archive) && archive.container !== "file");
}

type DrilledPart = DrillRecord["parts"][number];

/**
 * What is known after a drill that may have looked at some parts only: of the others, what an earlier one found. Its time is that of a drill of
 * all of them, which are restored side by side.
 * @param earlier of the same archive
 */
export function joinedDrill(earlier: DrillRecord | undefined, drill: DrillRecord): DrillRecord {
  const isNew = (part: DrilledPart) =>
    drill.parts.some(({ engine, name }) => engine === part.engine && name === part.name);
  const kept = (earlier?.parts ?? [])
    .filter((part) => !isNew(part))
    .map((part) => ({ ...part, at: part.at ?? earlier!.at }));
  const parts = [...kept, ...drill.parts];
  const longest = (some: readonly DrilledPart[]) =>
    Math.max(0, ...some.map(({ duration_ms }) => duration_ms));
  return {
    ...drill,
    ok: parts.every(({ ok }) => ok),
    duration_ms: drill.duration_ms - longest(drill.parts) + longest(parts),
    parts,
  };
}

/** Parts that are whole and that a drill left out. */
export function notDrilled({ parts }: Metadata, drill: DrillRecord): Metadata["parts"] {
  const isThere = (part: Metadata["parts"][number]) =>
    drill.parts.some(({ engine, name }) => engine === part.engine && name === part.name);
  return parts.filter((part) => part.state === "complete" && !isThere(part));
}

/** An archive of another size tells nothing. */
const MOST_TIMES = 3;

/** Engines of which a part was only read; roles always are: they belong to a whole server. */
export function onlyRead({ parts }: DrillRecord): EngineName[] {
  const isRole = (engine: EngineName, name: string) => engine === "postgres" && name === "globals";
  const read = parts.filter(({ engine, name, loaded, ok }) => ok && !loaded && !isRole(engine, name));
  return [...new Set(read.map(({ engine }) => engine))];
}

export interface Estimate {
  /** How long a restore may take, with taking the archive apart. */
  duration_ms: number;
  /** The archive whose drill says so. */
  from: string;
  /** Engines that the drill did not load: they come on top. */
  without: EngineName[];
}

/**
 * From the newest drill of the archive's folder that had all of its parts, by the size of both. Null: there was none.
 * @throws OpsError `failed` for a folder that cannot be read
 */
export async function estimateRestore({ path, sidecar }: Archive): Promise<Estimate | null> {
  if (sidecar === null) return null;
  const wanted = sidecar.metadata;
  for (const { name, sidecar } of (await listArchives(dirname(path))).reverse()) {
    const drill = sidecar?.drill;
    if (
      !drill?.ok ||
      notDrilled(wanted, drill).length > 0 ||
      !isLike(bytesOf(wanted), bytesOf(sidecar!.metadata))
    )
      continue;
    return {
      duration_ms: Math.round((drill.duration_ms * bytesOf(wanted)) / bytesOf(sidecar!.metadata)),
      from: name,
      without: onlyRead(drill),
    };
  }
  return null;
}

/** What takes its time whatever the size would be multiplied otherwise. */
function isLike(one: number, other: number): boolean {
  return one <= MOST_TIMES * other && other <= MOST_TIMES * one && other > 0;
}

function bytesOf({ files }: Metadata): number {
  return files.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
}
