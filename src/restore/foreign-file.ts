/** `restore --from-file`: one engine's data out of whatever file somebody has. */
import { lstat } from "node:fs/promises";
import { basename, join } from "node:path";
import { readArchive } from "../backup/archives.ts";
import type { Call } from "../call.ts";
import { type EngineName, OpsError, usageError } from "../errors.ts";
import { type StagedSet, type StageOptions, stageSet } from "./stage.ts";

/**
 * Takes one engine's file, verified as a set when our sidecar is beside it; an archive gives up the parts of that engine.
 * @throws OpsError `not_found`, `usage` for a file of another engine, and as `stageSet`
 */
export async function stageFile(
  call: Call,
  path: string,
  engine: EngineName,
  options: StageOptions,
): Promise<StagedSet> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined)
    throw new OpsError({
      code: "not_found",
      message: `there is no file ${path}`,
      hint: "name the file with its path; opsctl restore lists the archives",
    });
  const archive = await readArchive(path);
  if (stats.isDirectory() && archive.sidecar === null) await refuseDumpFolder(path);
  return stageSet(call, archive, { ...options, engines: [engine] });
}

/** As `pg_dump -Fd` makes them. Other folders may be sets. */
async function refuseDumpFolder(path: string): Promise<void> {
  if (!(await lstat(join(path, "toc.dat")).catch(() => undefined))) return;
  throw usageError(
    `${basename(path)} is a dump in pg_dump's directory format, which holds many files and no digest of them`,
    `load it with pg_restore -j2 --exit-on-error -d DATABASE ${basename(path)}, or make one with pg_dump -Fc`,
  );
}
