import { OpsError } from "../../errors.ts";
import type { RestoreFile, RestoreTask } from "../../restore/port.ts";

/** The best first: an archive is loaded by several processes, and says what is in it. */
const KINDS = ["postgres-custom", "postgres-plain", "postgres-globals"] as const;

/** The file of a part that is loaded. @throws OpsError `failed` when it has none that PostgreSQL takes */
export function fileOf(task: RestoreTask): RestoreFile {
  for (const kind of KINDS) {
    const file = task.files.find((candidate) => candidate.kind === kind);
    if (file) return file;
  }
  throw new OpsError({
    code: "failed",
    engine: "postgres",
    message: `${task.name}: none of its files can be restored into PostgreSQL`,
    hint: "restore a dump of pg_dump (custom format or script), or the globals of pg_dumpall",
  });
}
