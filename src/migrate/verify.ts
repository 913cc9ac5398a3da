import { toOpsError } from "../errors.ts";
import { type Entry, isPending } from "./history.ts";
import type { MigrationTarget } from "./port.ts";
import type { Source } from "./source.ts";

export interface Problem {
  version: string | null;
  file: string;
  /** `invalid`: a pending file that `up` would refuse. */
  kind: "edited" | "missing" | "broken" | "invalid";
  message: string;
}

/** Everything that stands between the files and the history, and what is wrong with files that are still to run. Asks nobody. */
export function findProblems(
  source: Source,
  entries: readonly Entry[],
  target: Pick<MigrationTarget, "check">,
): Problem[] {
  return entries.flatMap((entry) => {
    const { version, state, migration, row, broken } = entry;
    const file = migration?.up.file ?? row!.file;
    const problem = (kind: Problem["kind"], message: string): Problem[] => [{ version, file, kind, message }];
    if (state === "missing") return problem("missing", "applied, and its file is gone");
    if (state === "edited") {
      return problem("edited", `history has ${row!.checksum}, the file is ${migration!.up.checksum}`);
    }
    if (broken !== null) {
      return problem("broken", `broken off after ${row!.statement_index} statements on the way ${broken}`);
    }
    return isPending(entry) ? invalid(source, entry, target) : [];
  });
}

function invalid(
  source: Source,
  { version, migration }: Entry,
  target: Pick<MigrationTarget, "check">,
): Problem[] {
  return [migration!.up, migration!.down].flatMap((script): Problem[] => {
    if (script === null) return [];
    if (script.text.trim() === "") return [{ version, file: script.file, kind: "invalid", message: "empty" }];
    try {
      target.check(script, source.format);
      return [];
    } catch (error) {
      return [{ version, file: script.file, kind: "invalid", message: toOpsError(error).message }];
    }
  });
}
