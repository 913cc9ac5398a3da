/** What a verification leaves in the sidecar. */
import { basename } from "node:path";
import type { Call } from "../call.ts";
import { TOOL_VERSION } from "../package.ts";
import { type Archive, readArchive, writeSidecar } from "./archives.ts";
import { FORMAT, FORMAT_VERSION, LEVELS, type Level, type Metadata, type Sidecar } from "./metadata.ts";
import type { Problem } from "./verify-set.ts";

/** What is known of an archive that was found whole. */
export interface Whole {
  metadata: Metadata;
  /** As in the sidecar; undefined: it was not computed. */
  sha256: string | undefined;
  /** As in the sidecar. */
  size_bytes: number;
}

/**
 * Records the level, when no higher one is recorded. An archive without a sidecar gets one, from the level on at which every byte was looked at.
 */
export async function recordVerified(
  call: Call,
  archive: Archive,
  level: Level,
  whole: Whole,
): Promise<void> {
  const verified = { level, at: new Date().toISOString(), opsctl_version: TOOL_VERSION };
  const known = await current(archive);
  // a look at the names says nothing about bytes that another look found damaged, nor one at the bytes about what they mean
  if (known === undefined || (known?.damaged && isBelow(level, known.damaged.level))) return;
  if (known === null) {
    if (whole.sha256 === undefined || level === "structure") return;
    const { metadata, sha256, size_bytes } = whole;
    const { container, encrypted, path } = archive;
    const shared = { format: FORMAT, format_version: FORMAT_VERSION, file: basename(path) } as const;
    await write(call, archive, {
      ...shared,
      container,
      encrypted,
      size_bytes,
      sha256,
      signature: null,
      verified,
      damaged: null,
      metadata,
    });
    return;
  }
  const isLower = known.verified !== null && isBelow(level, known.verified.level);
  if (isLower && known.damaged === null) return;
  await write(call, archive, { ...known, verified: isLower ? known.verified : verified, damaged: null });
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
): Promise<void> {
  const known = await current(archive);
  if (!known) return;
  const damaged = { at: new Date().toISOString(), level, message: `${path}: ${message}` };
  await write(call, archive, { ...known, damaged });
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
async function write(call: Call, archive: Archive, sidecar: Sidecar): Promise<void> {
  try {
    await writeSidecar(archive.path, sidecar);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? String(error);
    call.log("WARNING", "the result of the verification cannot be recorded beside the archive", {
      archive: archive.path,
      reason,
    });
  }
}
