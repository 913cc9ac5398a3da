import type { FileKind } from "../backup/port.ts";
import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";
import type { Saved, Undo } from "./port.ts";

/**
 * How far a restore is. `preparing`: no live data were touched. `swapping`: some may have been. `done`: all are live, and what was there before is
 * kept. `undoing`: going back. `undone`: it went back, or never began. `forgotten`: what was there before is gone.
 */
export const RESTORE_STATES = ["preparing", "swapping", "done", "undoing", "undone", "forgotten"] as const;
export type RestoreState = (typeof RESTORE_STATES)[number];

/** States of a restore whose process may have died in it. */
export const UNFINISHED: readonly RestoreState[] = ["preparing", "swapping", "undoing"];

/** `planned`, then `prepared`, `swapping`, `swapped`; `returning`: its copy is being restored; `undone`: it is again as it was. */
export const PART_STATES = ["planned", "prepared", "swapping", "swapped", "returning", "undone"] as const;
export type PartState = (typeof PART_STATES)[number];

export interface PartRecord {
  engine: EngineName;
  /** Of the task. */
  name: string;
  /** `Target.identity`: what is restored there must not be undone elsewhere. */
  identity: string;
  /** The part's name in the set. */
  source: string;
  /** Of its files: on the way back they are all that is known of them. */
  kinds: FileKind[];
  undo: Undo;
  /** File name of the safety backup in the restore's folder that has what was there before; null: there is none, or none yet. */
  safety: string | null;
  state: PartState;
  saved: Saved;
}

export interface RestoreRecord {
  id: string;
  /** Of the archive. */
  name: string;
  path: string;
  sha256: string;
  /** Work of the restore and its safety backup, absolute. */
  folder: string;
  state: RestoreState;
  actor: string;
  /** ms */
  started_at: number;
  /** ms; null: not yet. */
  finished_at: number | null;
  /** What the restore was asked for, for `--resume`: JSON of the command's. */
  request: string;
  parts: PartRecord[];
}

/** Restores of this host, in its state file. Everything is on the disk when a method resolves. */
export interface RestoreJournal {
  begin(call: Call, record: RestoreRecord): Promise<void>;
  /** @throws Error for an id that is not there */
  update(
    call: Call,
    id: string,
    changes: Partial<Pick<RestoreRecord, "state" | "finished_at">>,
  ): Promise<void>;
  /** @throws Error for a part that is not there */
  updatePart(
    call: Call,
    id: string,
    part: Pick<PartRecord, "engine" | "name">,
    changes: Partial<Pick<PartRecord, "state" | "saved" | "safety">>,
  ): Promise<void>;
  /** All, in the order in which they began. */
  list(call: Call): Promise<RestoreRecord[]>;
}
