/** The archive, or the single file, that a restore is of. */
import { resolve } from "node:path";
import { findArchive } from "../backup/archives.ts";
import type { EngineName } from "../errors.ts";
import { type StagedSet, type StageOptions, stageSet } from "../restore/stage.ts";
import type { Context } from "./command.ts";

/** What is restored, and how it is taken out of its container: the same again when it is resumed. */
export interface Source {
  archive: string;
  /** It is a single file of this engine. */
  file: EngineName | null;
  engines: readonly EngineName[] | undefined;
  /** The operator vouches for it. */
  trust: boolean;
}

/**
 * Takes it out of its container, into a folder.
 * @param folderOfArchives where a name is looked for
 * @throws OpsError `not_found`
 */
export async function stagingOf(
  { app, call }: Context,
  source: Source,
  folderOfArchives: string,
): Promise<(folder: string, known?: string) => Promise<StagedSet>> {
  const { text } = app.config;
  const catalogue = await app.catalogue();
  // `known`: the digest of a restore that goes on
  const base = (folder: string, known: string | undefined): StageOptions => ({
    folder,
    engines: source.engines,
    identity: text("OPSCTL_BACKUP_IDENTITY"),
    signingKey: text("OPSCTL_BACKUP_SIGNING_KEY"),
    // what was vouched for when it began is not ours for that
    knows: async (sha256) => (sha256 === known && !source.trust) || (await catalogue.knows(call, sha256)),
    trust: source.trust,
  });
  if (source.file === null) {
    const archive = await findArchive(folderOfArchives, source.archive);
    return (folder, known) => stageSet(call, archive, base(folder, known));
  }
  const engine = source.file;
  const { stageFile } = await import("../restore/foreign-file.ts");
  return (folder, known) => stageFile(call, resolve(source.archive), engine, base(folder, known));
}
