/** A SQLite file of a set, on its way into a file that other programs may have open. */
import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Call } from "../../call.ts";
import { OpsError, toOpsError } from "../../errors.ts";
import type { Found, RestorePart, RestorePlan, RestoreTask, Swapped, Undo } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";
import { createFile, type FilePlace } from "./open.ts";
import {
  asidePath,
  bringBack,
  isAside,
  isSameFile,
  likeAside,
  markOf,
  moveAside,
  realPath,
  removeAside,
  takeAway,
} from "./restore-aside.ts";
import { lookAtLive, type Present, presentAt, requirePlace } from "./restore-place.ts";
import { planOf, undoOf } from "./restore-plan.ts";
import { replaceWhile } from "./restore-replace.ts";
import { checkStaged, compare, databaseOf, pageSizeOf } from "./restore-staged.ts";

/** What another process needs to go on, in the journal. */
type Progress = {
  undo?: Undo;
  /** The live file is about to be touched, or was. */
  begun?: boolean;
  /** The file whose content is live: on the way back it is another one. */
  swapped?: string | null;
  /** `markOf` right after that. */
  mark?: string;
};

export async function sqliteRestore(task: RestoreTask, { target }: Origin): Promise<RestorePart> {
  return new SqliteRestore(task, { path: target.url, foreign: target.foreign ?? false }, target.shown);
}

class SqliteRestore implements RestorePart {
  readonly engine = "sqlite";
  readonly isFirst = false;
  readonly name: string;
  readonly target: string;
  readonly #task: RestoreTask;
  readonly #place: FilePlace;
  #progress: Progress;
  #present: Present | undefined;

  constructor(task: RestoreTask, place: FilePlace, shown: string) {
    this.name = task.name;
    this.target = shown;
    this.#task = task;
    this.#place = { ...place, path: realPath(place.path) };
    this.#progress = { ...task.saved };
  }

  get isTouched(): boolean {
    return this.#progress.begun === true;
  }

  async plan(call: Call): Promise<RestorePlan> {
    const { size_bytes: bytes, local } = databaseOf(this.#task);
    this.#present = await presentAt(call, this.#place);
    return planOf(this.#present, this.#place.path, { bytes, pageSize: await pageSizeOf(local) });
  }

  async prepare(call: Call): Promise<void> {
    await checkStaged(call, databaseOf(this.#task), this.#task);
    if (this.isTouched) return;
    this.#present ??= await presentAt(call, this.#place);
    await this.#save(call, { undo: undoOf(this.#present) });
  }

  async swap(call: Call): Promise<Swapped> {
    const { path } = this.#place;
    const { local } = databaseOf(this.#task);
    if (this.#progress.swapped === local) return { how: "it was live already", outage_ms: null, notes: [] };
    this.#refuseNew();
    const wasTouched = this.isTouched;
    await this.#save(call, { begun: true });
    if (this.#progress.undo === "kept") await moveAside(path, this.#task.id);
    createFile(this.#place);
    if (isAside(path, this.#task.id)) likeAside(path, this.#task.id);
    const { lockedMs, journalMode, logBytes } = await replaceWhile(call, local, path).catch(
      async (error: unknown) => {
        const isAsItWas = this.#progress.undo === "safety" && toOpsError(error).code === "locked";
        if (isAsItWas && !wasTouched) await this.#save(call, { begun: false });
        throw error;
      },
    );
    await this.#save(call, { swapped: local, mark: markOf(path) });
    const isLog = journalMode === "wal";
    const notes = [
      `${isLog ? "writers waited" : "readers and writers waited"} ${lockedMs} ms; journal mode is ${journalMode}`,
    ];
    if (logBytes > 0)
      notes.push("programs that read the old content keep the new one in the log until they are done");
    return { how: "SQLite's backup API", outage_ms: isLog ? 0 : lockedMs, notes };
  }

  async verify(call: Call): Promise<Found> {
    const { counts, breakdown, notes } = await lookAtLive(call, this.#place.path, false);
    const differing = compare({ counts, breakdown }, this.#task.expected);
    const isWritten = differing.length > 0 && this.#isWritten();
    if (!isWritten) return { counts, breakdown, problems: differing, notes };
    const explained = differing.map((one) => `${one}; a program wrote to the file after it was restored`);
    return { counts, breakdown, problems: [], notes: [...notes, ...explained] };
  }

  async requireWayBack(): Promise<void> {
    const { undo, swapped, mark } = this.#progress;
    if (!this.isTouched) return;
    if (undo === "safety") requirePlace(this.#place);
    const { path } = this.#place;
    // cut off before it was moved aside, or after it was brought back
    const isWhereItWas = existsSync(path) && !(swapped && mark && isSameFile(mark, markOf(path)));
    if (undo !== "kept" || isWhereItWas || isAside(path, this.#task.id)) return;
    throw new OpsError({
      code: "failed",
      engine: "sqlite",
      message: `what was there before, ${asidePath(path, this.#task.id)}, is gone`,
      hint: "restore another archive: opsctl backup list",
    });
  }

  async rollback(call: Call): Promise<void> {
    const { undo } = this.#progress;
    if (!this.isTouched || undo === "safety") return;
    await this.requireWayBack();
    const { path } = this.#place;
    const { id } = this.#task;
    if (undo === "empty" || isAside(path, id)) await this.#takeAway(call);
    await bringBack(path, id);
    await this.#save(call, { begun: false, swapped: null });
  }

  async abandon(): Promise<void> {
    // nothing is made beside the live file
  }

  async forget(): Promise<void> {
    if (this.#progress.undo === "kept") await removeAside(this.#place.path, this.#task.id);
  }

  async close(): Promise<void> {
    // its connections last as long as a question
  }

  /** What was written by others is not thrown away, though nobody may miss it. */
  async #takeAway(call: Call): Promise<void> {
    const { path } = this.#place;
    if (!existsSync(path)) return;
    const { swapped, mark } = this.#progress;
    // a copy that was cut off is rolled back by whoever looks
    if (!swapped) await lookAtLive(call, path, false);
    const isOurs = statSync(path).size === 0 || (mark !== undefined && !this.#isWritten());
    const kept = await takeAway(path, this.#task.id, !isOurs);
    if (kept === null) return;
    call.log("WARNING", `${path} may have been written to after the restore: it is kept as ${kept}`);
  }

  /** Whether somebody wrote to the file since it was swapped. */
  #isWritten(): boolean {
    const { path } = this.#place;
    return existsSync(path) && this.#progress.mark !== markOf(path);
  }

  /** A file that nobody has a copy of. */
  #refuseNew(): void {
    const { path } = this.#place;
    if (this.#progress.undo !== "empty" || this.#progress.begun) return;
    if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
    throw new OpsError({
      code: "failed",
      engine: "sqlite",
      message: `there was no file ${path} when the restore began, and now there is one; it was not changed`,
      hint: `restore again: it will be backed up first. Or look who made it in ${dirname(path)}`,
    });
  }

  async #save(call: Call, changes: Progress): Promise<void> {
    this.#progress = { ...this.#progress, ...changes };
    await this.#task.save(call, this.#progress);
  }
}
