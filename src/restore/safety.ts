/** Copies of what a restore is about to replace: ordinary archives in the folder of the restore. */
import { join } from "node:path";
import { readArchive } from "../backup/archives.ts";
import type { Catalogue } from "../backup/port.ts";
import { runBackup } from "../backup/run.ts";
import type { Call } from "../call.ts";
import { OpsError, toOpsError } from "../errors.ts";
import { emptyFolder, safetyName } from "./folder.ts";
import type { PartRecord, RestoreRecord } from "./journal.ts";
import { type StagedSet, stageSet } from "./stage.ts";
import { type Material, note, type RestoreTools } from "./subjects.ts";

/** It is no archive of the host's: nobody lists it, and retention does not count it. */
const NO_CATALOGUE: Catalogue = {
  nextSequence: async (_call, least) => least + 1,
  add: async () => {},
  knows: async () => false,
};

/**
 * Makes a copy of several targets, and records for each part that it is there. Every part of it must be whole, or nothing is replaced.
 * @returns what to know of it, a line each
 * @throws OpsError of the part that could not be copied
 */
export async function makeSafety(
  call: Call,
  tools: RestoreTools,
  restore: RestoreRecord,
  records: readonly PartRecord[],
): Promise<string[]> {
  if (records.length === 0) return [];
  const { folder } = restore;
  const parts = (await Promise.all(records.map((record) => tools.copyOf(call, record)))).flat();
  const { sidecar, failures } = await runBackup(call, {
    parts,
    folder,
    container: "tar.zst",
    name: await safetyName(folder),
    wants: () => true,
    stallMs: tools.stallMs,
    ownSettings: {},
    opsctlVersion: tools.opsctlVersion,
    catalogue: NO_CATALOGUE,
  });
  const [failure] = failures;
  if (failure)
    throw reworded(failure, `the copy of what would be replaced could not be made: ${failure.message}`);
  for (const record of records) await note(call, tools, restore, record, { safety: sidecar.file });
  const fuzzy = sidecar.metadata.parts.filter(({ consistency }) => consistency === "fuzzy");
  return fuzzy.map(
    ({ engine, reason }) =>
      `the copy of ${engine} is fuzzy (${reason}): stop writers with OPSCTL_RESTORE_STOP`,
  );
}

function reworded({ code, engine, hint, cause }: OpsError, message: string): OpsError {
  return new OpsError({ code, message, ...(engine && { engine }), ...(hint && { hint }), cause });
}

/** Copies of a restore, each out of its container once. */
export class Safeties {
  readonly #folder: string;
  readonly #opened = new Map<string, Promise<StagedSet>>();

  constructor({ folder }: RestoreRecord) {
    this.#folder = folder;
  }

  /**
   * What a part's copy holds, every byte of it compared.
   * @throws OpsError `integrity` when it is damaged or gone
   */
  async materialOf(call: Call, { engine, name, safety }: PartRecord): Promise<Material> {
    const { parts } = await this.#open(call, safety);
    const own = parts.filter(({ part }) => part.engine === engine);
    // the others have one part
    const staged = engine === "sqlite" ? own.find(({ part }) => part.name === name) : own[0];
    if (!staged)
      throw new OpsError({
        code: "integrity",
        engine,
        message: `the copy has no ${engine} ${name}`,
        hint: GIVE_UP,
      });
    const { counts, breakdown, server_version } = staged.part;
    const expected = { counts, breakdown };
    return { files: staged.files, expected, serverVersion: server_version, isOurs: true };
  }

  #open(call: Call, file: string | null): Promise<StagedSet> {
    if (file === null) throw new Error("no copy was made");
    let opened = this.#opened.get(file);
    if (!opened) {
      opened = this.#stage(call, file);
      this.#opened.set(file, opened);
    }
    return opened;
  }

  async #stage(call: Call, file: string): Promise<StagedSet> {
    const path = join(this.#folder, file);
    try {
      return await stageSet(call, await readArchive(path), {
        folder: await emptyFolder(this.#folder, `undo-${file}`),
        // nobody else writes there
        knows: async () => true,
        trust: true,
      });
    } catch (error) {
      const known = toOpsError(error);
      if (known.code !== "integrity") throw known;
      const message = `the copy of what was there before, ${path}, cannot be used: ${known.message}`;
      throw new OpsError({ code: "integrity", message, hint: GIVE_UP, cause: error });
    }
  }
}

const GIVE_UP = "nothing was changed; opsctl restore --forget gives up the way back";
