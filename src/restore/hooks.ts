/** The operator's commands around a restore. */
import { runHook } from "../backup/hooks.ts";
import type { Call } from "../call.ts";
import { toOpsError } from "../errors.ts";
import type { RestoreRecord } from "./journal.ts";
import type { RestoreTools } from "./subjects.ts";

function environment({ id, name, path, state }: RestoreRecord): Record<string, string> {
  return {
    OPSCTL_RESTORE_ID: id,
    OPSCTL_RESTORE_NAME: name,
    OPSCTL_RESTORE_PATH: path,
    OPSCTL_RESTORE_STATE: state,
  };
}

/** Stops what uses the databases. @throws as `runHook`: nothing is replaced then */
export async function stopFirst(call: Call, { hooks }: RestoreTools, restore: RestoreRecord): Promise<void> {
  if (hooks.stop !== undefined) await runHook(call, "OPSCTL_RESTORE_STOP", hooks.stop, environment(restore));
}

/** Starts it again, whatever came out. @returns what is to be said of it: a service that is down is a warning, and no failed restore */
export async function startAgain(
  call: Call,
  { hooks }: RestoreTools,
  restore: RestoreRecord,
): Promise<string[]> {
  if (hooks.start === undefined) return [];
  try {
    await runHook(call, "OPSCTL_RESTORE_START", hooks.start, environment(restore));
    return [];
  } catch (error) {
    return [toOpsError(error).message];
  }
}
