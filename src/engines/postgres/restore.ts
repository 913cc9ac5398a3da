import type { RestorePart, RestoreTask } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";
import { connectPostgres } from "./connect.ts";
import { DatabaseRestore } from "./restore-database.ts";
import { fileOf } from "./restore-files.ts";
import { GlobalsRestore } from "./restore-globals.ts";
import { requireName } from "./restore-names.ts";

/** @throws OpsError `failed` for a part without a file that PostgreSQL takes, `usage` for a name that it cannot have */
export async function postgresRestore(task: RestoreTask, { target, limits }: Origin): Promise<RestorePart> {
  const file = fileOf(task);
  requireName(task.name);
  const connection = (await connectPostgres(target, limits)).bare();
  if (file.kind === "postgres-globals") return new GlobalsRestore(task, file, connection);
  return new DatabaseRestore(task, file, connection);
}
