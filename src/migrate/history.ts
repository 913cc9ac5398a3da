/** What files and history say together about each version of a set. Pure. */
import type { Direction, HistoryRow, Migration } from "./port.ts";

/** The version of the row that `baseline 0` writes: the history begins, nothing of the folder is applied. */
export const NOTHING = "0";

/**
 * `pending`: never applied · `reverted`: rolled back, applied again by the next `up` · `running`, `failed`: broken off in the middle ·
 * `edited`: the file is not the one that was applied · `missing`: applied, and its file is gone.
 */
export type EntryState = "applied" | "pending" | "reverted" | "running" | "failed" | "edited" | "missing";

export interface Entry {
  version: string;
  seq: number;
  state: EntryState;
  /** Absent: missing. */
  migration: Migration | undefined;
  /** Absent: pending. */
  row: HistoryRow | undefined;
  /** What was broken off: `running` and `failed` only. */
  broken: Direction | null;
  /** Pending, although a later version is applied: it was merged late. */
  isLate: boolean;
}

/** Every version of a set, by number. The row of `baseline 0` is none. */
export function entriesOf(migrations: readonly Migration[], rows: readonly HistoryRow[]): Entry[] {
  const left = new Map(rows.filter(({ version }) => version !== NOTHING).map((row) => [row.version, row]));
  const entries = migrations.map((migration): Entry => {
    const row = left.get(migration.version);
    left.delete(migration.version);
    return entryOf(migration, row);
  });
  for (const row of left.values()) {
    // what was rolled back and then deleted is over
    if (row.state === "reverted") continue;
    const { version, seq } = row;
    entries.push({ version, seq, state: "missing", migration: undefined, row, broken: null, isLate: false });
  }
  entries.sort((a, b) => a.seq - b.seq);
  const lastApplied = entries.findLastIndex(({ state }) => state === "applied" || state === "edited");
  return entries.map((entry, index) =>
    isPending(entry) && index < lastApplied ? { ...entry, isLate: true } : entry,
  );
}

function entryOf(migration: Migration, row: HistoryRow | undefined): Entry {
  const { version, seq, up, down } = migration;
  const entry: Entry = {
    version,
    seq,
    state: row?.state ?? "pending",
    migration,
    row,
    broken: null,
    isLate: false,
  };
  if (row === undefined || row.state === "reverted") return entry;
  if (row.state === "applied") return row.checksum === up.checksum ? entry : { ...entry, state: "edited" };
  return { ...entry, broken: row.file === down?.file ? "down" : "up" };
}

/** What `up` would run: never applied, rolled back, or broken off on the way up. */
export function isPending({ state, broken }: Entry): boolean {
  return state === "pending" || state === "reverted" || broken === "up";
}

/** Entries that history calls applied, in the order in which they were. */
export function inAppliedOrder(entries: readonly Entry[]): Entry[] {
  const isApplied = ({ state, broken }: Entry) =>
    state === "applied" || state === "edited" || state === "missing" || broken === "down";
  return entries.filter(isApplied).sort((a, b) => a.row!.applied_at - b.row!.applied_at || a.seq - b.seq);
}
