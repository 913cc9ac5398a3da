/** What a verification, or a drill, leaves in the sidecar. */
import { basename } from "node:path";
import type { Call } from "../call.ts";
import { TOOL_VERSION } from "../package.ts";
import { type Archive, readArchive, writeSidecar } from "./archives.ts";
import { joinedDrill } from "./drilled.ts";
import {
  type DrillRecord,
  FORMAT,
  FORMAT_VERSION,
  LEVELS,
  type Level,
  type Metadata,
  type Sidecar,
  type Verified,
} from "./metadata.ts";
import type { Problem } from "./verify-set.ts";

/** What is known of an archive that was found whole. */
export interface Whole {
  metadata: Metadata;
  /** As in the sidecar; undefined: it was not computed. */
  sha256: string | undefined;
  /** As in the sidecar. */
  size_bytes: number;
}

/** The sidecar as it was written; undefined: nothing was. */
export type Recorded = Sidecar | undefined;

/**
 * Records the level, when no higher one is recorded. An archive without a sidecar gets one, from the level on at which every byte was looked at.
 * @param level undefined: not all of it was looked at, and only the drill is recorded
 */
export async function recordVerified(
  call: Call,
  archive: Archive,
  level: Level | undefined,
  whole: Whole,
  drill?: DrillRecord,
): Promise<Recorded> {
  const known = await current(archive);
  if (known === undefined) return undefined;
  const drilled = drillOf(known, drill);
  const { metadata, sha256, size_bytes } = whole;
  if (known === null) {
    if (sha256 === undefined || level === undefined || level === "structure") return undefined;
    const { container, encrypted, path } = archive;
    return write(call, archive, {
      ...({ format: FORMAT, format_version: FORMAT_VERSION, file: basename(path) } as const),
      ...{ container, encrypted, size_bytes, sha256, signature: null },
      ...{ verified: verifiedNow(level), damaged: null, ...drilled, metadata },
    });
  }
  // a look at the names says nothing about bytes that another look found damaged, nor one at the bytes about what they mean
  const isDoubted = known.damaged !== null && (level === undefined || isBelow(level, known.damaged.level));
  const isLower = level === undefined || (known.verified !== null && isBelow(level, known.verified.level));
  if (!isDoubted && !(isLower && known.damaged === null)) {
    const verified = isLower ? known.verified : verifiedNow(level);
    return write(call, archive, { ...known, verified, damaged: null, ...drilled });
  }
  return drill === undefined ? undefined : write(call, archive, { ...known, ...drilled });
}

function drillOf(known: Sidecar | null, drill: DrillRecord | undefined): Pick<Sidecar, "drill"> {
  return drill === undefined ? {} : { drill: joinedDrill(known?.drill, drill) };
}

function verifiedNow(level: Level): Verified {
  return { level, at: new Date().toISOString(), opsctl_version: TOOL_VERSION };
}

function isBelow(level: Level, other: Level): boolean {
  return LEVELS.indexOf(level) < LEVELS.indexOf(other);
}

/** Records the first thing that was wrong; what was verified before stays, for the record. */
export async function recordDamage(
  call: Call,
  archive: Archive,
  level: Level,
  { path, message }: Problem,
  drill?: DrillRecord,
): Promise<Recorded> {
  const known = await current(archive);
  if (!known) return undefined;
  const damaged = { at: new Date().toISOString(), level, message: `${path}: ${message}` };
  return write(call, archive, { ...known, damaged, ...drillOf(known, drill) });
}

/**
 * The sidecar as it is now: another process may have written it since. Null: there is none; undefined: it is of another archive by now, or cannot
 * be read, and is left alone.
 */
async function current(archive: Archive): Promise<Sidecar | null | undefined> {
  const now = await readArchive(archive.path, archive.container);
  if (now.sidecar === null) return archive.sidecar === null && archive.problem === null ? null : undefined;
  return now.sidecar.sha256 === archive.sidecar?.sha256 ? now.sidecar : undefined;
}

/** An archive on a medium that cannot be written to is no worse for it. */
async function write(call: Call, archive: Archive, sidecar: Sidecar): Promise<Recorded> {
  try {
    await writeSidecar(archive.path, sidecar);
    return sidecar;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    call.log("WARNING", "the result cannot be recorded beside the archive", {
      archive: archive.path,
      reason,
    });
    return undefined;
  }
}
