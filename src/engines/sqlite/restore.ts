import { OpsError } from "../../errors.ts";
import type { RestorePart, RestoreTask } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";

export async function sqliteRestore(_task: RestoreTask, _origin: Origin): Promise<RestorePart> {
  throw new OpsError({ code: "failed", engine: "sqlite", message: "restoring is not written yet" });
}
