import { OpsError } from "../../errors.ts";
import type { RestoreJournal } from "../../restore/journal.ts";
import type { SqliteConnection } from "./connect.ts";

/** The restores of this host, in its state file. */
export function sqliteRestoreJournal(_connection: SqliteConnection): RestoreJournal {
  throw new OpsError({ code: "failed", message: "the journal of restores is not written yet" });
}
