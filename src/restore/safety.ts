/** The copy of what a restore is about to replace: an ordinary archive in the folder of the restore. */
import { join } from "node:path";
import { readArchive } from "../backup/archives.ts";
import type { Catalogue } from "../backup/port.ts";
import { runBackup } from "../backup/run.ts";
import type { Call } from "../call.ts";
import { OpsError } from "../errors.ts";
import { emptyFolder, SAFETY_NAME } from "./folder.ts";
import type { PartRecord, RestoreRecord } from "./journal.ts";
import { type StagedSet, stageSet } from "./stage.ts";
import type { Material, RestoreTools } from "./subjects.ts";

/** It is no archive of the host's: nobody lists it, and retention does not count it. */
const NO_CATALOGUE: Catalogue = {
  nextSequence: async (_call, least) => least + 1,
  add: async () => {},
  knows: async () => false,
};

/**
 * Makes it. Every part of it must be whole, or nothing is replaced.
 * @param records those whose way back it is
 * @returns its file name in the restore's folder, and what to know of it
 * @throws OpsError of the part that could not be copied
 */
export async function makeSafety(
  call: Call,
  tools: RestoreTools,
  { folder }: RestoreRecord,
  records: readonly PartRecord[],
): Promise<{ file: string; notes: string[] }> {
  const parts = (await Promise.all(records.map((record) => tools.copyOf(call, record)))).flat();
  const { sidecar, failures } = await runBackup(call, {
    parts,
    folder,
    container: "tar.zst",
    name: SAFETY_NAME,
    wants: () => true,
    stallMs: tools.stallMs,
    ownSettings: {},
    opsctlVersion: tools.opsctlVersion,
    catalogue: NO_CATALOGUE,
  });
  const [failure] = failures;
  if (failure)
    throw new OpsError({
      code: failure.code,
      message: `the copy of what would be replaced could not be made: ${failure.message}`,
      ...(failure.engine === undefined ? {} : { engine: failure.engine }),
      ...(failure.hint === undefined ? {} : { hint: failure.hint }),
      cause: failure,
    });
  const fuzzy = sidecar.metadata.parts.filter(({ consistency }) => consistency === "fuzzy");
  const notes = fuzzy.map(
    ({ engine, reason }) =>
      `the copy of ${engine} is fuzzy (${reason}): stop writers with OPSCTL_RESTORE_STOP`,
  );
  return { file: sidecar.file, notes };
}

/** It, out of its container. @throws OpsError `integrity` when it is damaged */
export async function openSafety(call: Call, { folder, safety }: RestoreRecord): Promise<StagedSet> {
  return stageSet(call, await readArchive(join(folder, safety!)), {
    folder: await emptyFolder(folder, "undo"),
    // nobody else writes there
    knows: async () => true,
    trust: true,
  });
}

/** What of it belongs to a part. */
export function materialOf({ parts }: StagedSet, { engine, name }: PartRecord): Material {
  const own = parts.filter(({ part }) => part.engine === engine);
  // the others have one part
  const staged = engine === "sqlite" ? own.find(({ part }) => part.name === name) : own[0];
  if (!staged)
    throw new OpsError({ code: "integrity", engine, message: `the copy has no ${engine} ${name}` });
  const { counts, breakdown, server_version } = staged.part;
  return { files: staged.files, expected: { counts, breakdown }, serverVersion: server_version };
}
