/** Which parts and files of a set are restored, by its metadata alone. */
import { Damaged } from "../backup/damaged.ts";
import { type FileMetadata, METADATA_FILE, type Metadata, type PartMetadata } from "../backup/metadata.ts";
import type { FileKind } from "../backup/port.ts";
import { type EngineName, OpsError } from "../errors.ts";

export interface WantedPart {
  part: PartMetadata;
  files: FileMetadata[];
}

/** What is not needed when the other is there. */
const COVERED_BY: Partial<Record<FileKind, FileKind>> = { "postgres-plain": "postgres-custom" };

/**
 * @param engines undefined: all
 * @throws OpsError `failed` for an engine whose parts failed, `not_found` for one that the set does not hold
 */
export function wantedParts(
  name: string,
  metadata: Metadata,
  engines: readonly EngineName[] | undefined,
): { parts: WantedPart[]; notes: string[] } {
  const asked = metadata.parts.filter(({ engine }) => engines?.includes(engine) ?? true);
  const whole = asked.filter(({ state }) => state === "complete");
  for (const engine of engines ?? []) requireWhole(name, metadata, engine);
  const [failed] = asked;
  if (whole.length === 0) throw failed ? failedPart(name, failed) : notInIt(name, metadata, "part");
  const files = new Map(metadata.files.map((file) => [file.path, file]));
  const parts = whole.map((part) => ({
    part,
    files: neededFiles(part.files.map((path) => files.get(path)!)),
  }));
  const notes = asked
    .filter(({ state }) => state === "failed")
    .map(
      (part) => `${shown(part)} is not in the archive: it failed when that was made (${part.error?.message})`,
    );
  return { parts, notes };
}

/** Every whole part has one file at least: nothing covers itself. */
function neededFiles(files: readonly FileMetadata[]): FileMetadata[] {
  const kinds = new Set(files.map(({ kind }) => kind));
  return files.filter(({ kind }) => {
    const better = COVERED_BY[kind];
    return better === undefined || !kinds.has(better);
  });
}

function requireWhole(name: string, metadata: Metadata, engine: EngineName): void {
  const parts = metadata.parts.filter((part) => part.engine === engine);
  if (parts.some(({ state }) => state === "complete")) return;
  const [failed] = parts;
  throw failed ? failedPart(name, failed) : notInIt(name, metadata, `part of ${engine}`);
}

function failedPart(name: string, part: PartMetadata): OpsError {
  return new OpsError({
    code: "failed",
    engine: part.engine,
    message: `${shown(part)} is not in ${name}: it failed when the archive was made (${part.error?.message})`,
    hint: "opsctl backup list shows the other archives",
  });
}

function notInIt(name: string, { parts }: Metadata, what: string): OpsError {
  const engines = [...new Set(parts.map(({ engine }) => engine))];
  return new OpsError({
    code: "not_found",
    message: `${name} holds no ${what}; it holds ${engines.join(", ")}`,
    hint: "choose among them with --only, or another archive: opsctl backup list",
  });
}

const shown = ({ engine, name }: PartMetadata) => `${engine} ${name}`;

/**
 * What the metadata's own reader leaves to those who restore.
 * @throws Damaged for two parts that would go to the same place, and for a file that its engine cannot have made
 */
export function requireConsistent({ parts, files }: Metadata): void {
  const names = parts.map(shown);
  const twice = names.find((name, nth) => names.indexOf(name) < nth);
  if (twice !== undefined) throw new Damaged(METADATA_FILE, `the part ${twice} is in it twice`);
  for (const part of parts) {
    const alien = files.find(
      ({ path, kind }) => part.files.includes(path) && !kind.startsWith(`${part.engine}-`),
    );
    if (alien) throw new Damaged(alien.path, `a file of ${part.engine} cannot be ${alien.kind}`);
  }
}
