import type { RestorePlan, Undo } from "../../restore/port.ts";
import type { Present } from "./restore-place.ts";

/** What cannot be backed up is moved aside. */
export function undoOf({ state }: Present): Undo {
  return state === "absent" ? "empty" : state === "whole" ? "safety" : "kept";
}

/** The file that is restored. */
interface Staged {
  bytes: number;
  /** 0: it is empty. */
  pageSize: number;
}

export function planOf(present: Present, path: string, staged: Staged): RestorePlan {
  return {
    server_version: null,
    overwrites: overwritten(present),
    how:
      present.state === "damaged"
        ? "the damaged file is moved aside, and a new one made with SQLite's backup API"
        : "SQLite's backup API, in one transaction of the live file",
    undo: undoOf(present),
    needs: { bytes: neededBytes(present, staged.bytes), path },
    notes: notesOf(present, staged),
  };
}

function overwritten(present: Present): string {
  if (present.state === "absent") return "nothing";
  if (present.state === "damaged") return `a damaged file, ${megabytes(present.bytes)}`;
  const { counts, bytes } = present.look;
  return `${counts["tables"]} tables, ${counts["rows"]} rows, ${megabytes(bytes)}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** The live file grows to the new size; meanwhile its log has all new pages, or its journal the old ones. */
function neededBytes(present: Present, bytes: number): number {
  if (present.state !== "whole") return bytes;
  const { look } = present;
  const meanwhile = look.journalMode === "wal" ? bytes : Math.min(bytes, look.bytes);
  return meanwhile + Math.max(0, bytes - look.bytes);
}

function notesOf(present: Present, { pageSize }: Staged): string[] {
  if (present.state === "absent") {
    return ["the new file belongs to this user, mode 0600: its program may need another owner"];
  }
  if (present.state === "damaged") {
    return [present.message, "stop the programs that have it open: they would go on with the damaged file"];
  }
  const { look } = present;
  return [swapNote(look.journalMode, look.pageSize, pageSize), "which programs have it open cannot be seen"];
}

function swapNote(journalMode: string, from: number, to: number): string {
  if (journalMode !== "wal")
    return `journal mode ${journalMode}: programs that read or write it wait during the swap`;
  if (to !== 0 && from !== to)
    return `its pages change from ${from} to ${to} bytes: no program may have it open during the swap`;
  return "programs that read it go on with the old content until the swap; those that write wait";
}
