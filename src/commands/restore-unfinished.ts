import { existsSync } from "node:fs";
import { type RestoreRecord, UNFINISHED } from "../restore/journal.ts";
import type { Context } from "./command.ts";

/** The restore that a process died in. Looking makes no state file; one that cannot be read is as none here, and doctor says why. */
export async function unfinishedRestore({ app, call }: Context): Promise<RestoreRecord | undefined> {
  if (!existsSync(app.stateFile)) return undefined;
  const restores = await app
    .restoreJournal()
    .then((journal) => journal.list(call))
    .catch(() => []);
  return restores.find(({ state }) => UNFINISHED.includes(state));
}

/** An unfinished restore is said wherever an operator may look. */
export async function noteUnfinished(context: Context): Promise<void> {
  const open = await unfinishedRestore(context);
  if (open)
    context.io.note(
      `the restore ${open.id} of ${open.name} is not over (${open.state}): opsctl restore --resume, or --abort`,
      "warning:",
    );
}
