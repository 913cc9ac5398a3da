import { existsSync } from "node:fs";
import { UNFINISHED } from "../restore/journal.ts";
import type { Context } from "./command.ts";

/** A restore that a process died in is said wherever an operator may look. What cannot be read says nothing: this is a note. */
export async function noteUnfinished({ app, call, io }: Context): Promise<void> {
  // looking makes no file
  if (!existsSync(app.stateFile)) return;
  const restores = await app
    .restoreJournal()
    .then((journal) => journal.list(call))
    .catch(() => []);
  const open = restores.find(({ state }) => UNFINISHED.includes(state));
  if (open)
    io.note(
      `the restore ${open.id} of ${open.name} is not over (${open.state}): opsctl restore --resume, or --abort`,
      "warning:",
    );
}
