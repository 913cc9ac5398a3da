import type { Call } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import type { Drilled, RestoreTask } from "../../restore/port.ts";

export async function neo4jDrill(
  _call: Call,
  _task: RestoreTask,
  _target: Target | undefined,
  _limits: Limits,
): Promise<Drilled> {
  throw new OpsError({ code: "failed", engine: "neo4j", message: "drilling is not written yet" });
}
