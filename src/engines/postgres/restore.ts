import { OpsError } from "../../errors.ts";
import type { RestorePart, RestoreTask } from "../../restore/port.ts";
import type { Origin } from "../engine.ts";

export async function postgresRestore(_task: RestoreTask, _origin: Origin): Promise<RestorePart> {
  throw new OpsError({ code: "failed", engine: "postgres", message: "restoring is not written yet" });
}
