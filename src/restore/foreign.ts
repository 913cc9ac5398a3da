/** An archive that another program made, such as the scripts that opsctl replaces: its files are recognised by their content. */
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import type { Archive } from "../backup/archives.ts";
import { Damaged } from "../backup/damaged.ts";
import type { Decrypted } from "../backup/encrypt.ts";
import type { Metadata } from "../backup/metadata.ts";
import { openSet, type SetReader } from "../backup/reader.ts";
import { lackOfSpace } from "../backup/space.ts";
import type { Call } from "../call.ts";
import { type EngineName, OpsError } from "../errors.ts";
import { FILES_OF_ARCHIVE, passThrough, StagedFolder } from "./extract.ts";
import { draftParts, type ForeignFile, foreignMetadata } from "./foreign-parts.ts";
import type { Foreign, Inside } from "./inside.ts";
import type { StagedSet, StageOptions } from "./stage.ts";
import { type Trust, trustOf, untrusted } from "./trust.ts";

/**
 * @param inside what a first reading found; what is read here must be the same
 * @throws as `stageSet`
 */
export async function stageForeign(
  call: Call,
  archive: Archive,
  { foreign, sha256 }: Extract<Inside, { foreign: Foreign }>,
  options: StageOptions,
  decrypted: Decrypted | undefined,
): Promise<StagedSet> {
  const name = basename(archive.path);
  // the digest of a folder is that of its metadata, and says nothing of files that those do not name
  const knows = archive.container === "dir" ? async () => false : options.knows;
  const trusted = await trustOf(name, sha256, null, { ...options, knows });
  if (trusted === undefined) throw untrusted(name);
  const { parts, notes } = draftParts(name, wantedFiles(name, foreign, options.engines));
  const metadata = foreignMetadata(archive.name, (await stat(archive.path)).mtime, parts);
  const bytes = metadata.files.reduce((sum, file) => sum + file.size_bytes, 0);
  const noRoom = await lackOfSpace(options.folder, bytes, FILES_OF_ARCHIVE);
  if (noRoom) throw noRoom;
  const set = await openSet(call, archive, undefined, await decrypted?.read());
  let folder: StagedFolder | undefined;
  try {
    folder = await StagedFolder.make(options.folder);
    const locals = await extract(set, metadata, folder);
    if (!decrypted && (await set.digest()) !== sha256) throw changed(name);
    return foreignSet(archive, metadata, { sha256, trusted, locals, notes: [...foreign.notes, ...notes] });
  } catch (error) {
    await folder?.remove();
    throw error;
  } finally {
    await set.close();
  }
}

/** @throws OpsError `not_found` */
function wantedFiles(
  name: string,
  { files, notes }: Foreign,
  engines: readonly EngineName[] | undefined,
): ForeignFile[] {
  const lacking = engines?.find((engine) => !files.some((file) => file.engine === engine));
  if (files.length > 0 && lacking === undefined)
    return files.filter(({ engine }) => engines?.includes(engine) ?? true);
  const found = [...files.map(({ path, engine }) => `${path} is for ${engine}`), ...notes];
  throw new OpsError({
    code: "not_found",
    message: `${name} holds nothing that can be restored${lacking === undefined ? "" : ` to ${lacking}`}: ${found.join("; ")}`,
    hint: "opsctl restores dumps of pg_dump and neo4j-admin, RDB files, SQLite files and its own exports",
  });
}

async function extract(set: SetReader, { files }: Metadata, folder: StagedFolder) {
  const locals = new Map<string, string>();
  for await (const { path, content } of set.entries()) {
    const file = files.find((one) => one.path === path);
    if (file === undefined) continue;
    const { kind, size_bytes: size } = file;
    const passed = await passThrough(content, { folder, kind }, size, () => changed(path));
    if (passed.sha256 !== file.sha256) throw changed(path);
    locals.set(path, passed.local!);
  }
  const missing = files.find(({ path }) => !locals.has(path));
  if (missing) throw changed(missing.path);
  return locals;
}

const changed = (path: string) => new Damaged(path, "it was changed while it was read");

/** What came out, as the set that it is not. */
export function foreignSet(
  archive: Archive,
  metadata: Metadata,
  {
    sha256,
    trusted,
    locals,
    notes,
  }: { sha256: string; trusted: Trust; locals: ReadonlyMap<string, string>; notes: string[] },
): StagedSet {
  const parts = metadata.parts.map((part) => ({
    part,
    files: metadata.files
      .filter(({ path }) => part.files.includes(path))
      .map(({ path, kind, size_bytes }) => ({ path, kind, size_bytes, local: locals.get(path)! })),
  }));
  const note = `${basename(archive.path)} was not made by opsctl: it says nothing of what it must hold, and no counts can be compared`;
  return { archive, metadata, isForeign: true, sha256, trusted, parts, notes: [note, ...notes] };
}
