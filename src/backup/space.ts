import { statfs } from "node:fs/promises";
import { OpsError } from "../errors.ts";
import type { Archive } from "./archives.ts";
import type { Container } from "./metadata.ts";
import type { PartFacts } from "./port.ts";

/** Left free beside a backup: a full disk stops the databases on it. */
const RESERVE_BYTES = 16 * 1024 * 1024;
/** What compression leaves, when no archive before tells. */
const USUAL_RATIO = 0.5;
/** An archive may grow by this much against its size by the ratio of the one before. */
const GROWTH = 1.2;

/** Packed bytes for each byte of the files, in the newest archive of the same container. */
function ratioOf(archives: readonly Archive[], container: Container): number | undefined {
  const alike = archives.filter(
    (archive) => archive.container === container && archive.sidecar?.metadata.files.length,
  );
  const sidecar = alike.at(-1)?.sidecar;
  if (!sidecar) return undefined;
  const raw = sidecar.metadata.files.reduce((sum, { size_bytes: size }) => sum + size, 0);
  return raw === 0 ? undefined : sidecar.size_bytes / raw;
}

/**
 * Bytes that a run needs on the destination's file system at its peak: a tar takes its size twice (the spool, and the archive made of it),
 * a folder or a single file once, beside what parts write for themselves.
 */
export function neededBytes(
  facts: readonly PartFacts[],
  container: Container,
  archives: readonly Archive[],
): number {
  const raw = facts.reduce((sum, { estimate_bytes: bytes }) => sum + bytes, 0);
  const scratch = facts.reduce((sum, { scratch_bytes: bytes }) => sum + bytes, 0);
  if (container === "dir" || container === "file") return Math.ceil(raw + scratch);
  const known = ratioOf(archives, container);
  const packed = raw * (known === undefined ? USUAL_RATIO : known * GROWTH);
  return Math.ceil(2 * packed + scratch);
}

/** Who needs the room, for the message. */
export interface Asker {
  /** `the backup needs` */
  what: string;
  hint: string;
}

const BACKUP: Asker = {
  what: "the backup needs",
  hint: "free some space, keep fewer archives (opsctl cleanup), or name another folder with --dir",
};

/** @throws OpsError `failed` when the folder's file system has less than `needed` bytes free */
export async function requireSpace(folder: string, needed: number, asker = BACKUP): Promise<void> {
  const lack = await lackOfSpace(folder, needed, asker);
  if (lack) throw lack;
}

/** The error that says so; undefined: there is room. */
export async function lackOfSpace(
  folder: string,
  needed: number,
  { what, hint }: Asker,
): Promise<OpsError | undefined> {
  const { bavail, bsize } = await statfs(folder).catch((error: NodeJS.ErrnoException) => {
    throw new OpsError({
      code: "failed",
      message: `${folder} cannot be used (${error.code}); nothing was written`,
      hint: "check that it is there, and its permissions",
      cause: error,
    });
  });
  const free = bavail * bsize;
  if (free >= needed + RESERVE_BYTES) return undefined;
  return new OpsError({
    code: "failed",
    message: `no room in ${folder}: ${what} about ${mebibytes(needed + RESERVE_BYTES)}, ${mebibytes(free)} are free; nothing was written`,
    hint,
  });
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024).toLocaleString("en")} MiB`;
}
