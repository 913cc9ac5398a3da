import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Call, throwIfAborted } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { toOpsError } from "../../errors.ts";
import type { Drilled, RestoreTask } from "../../restore/port.ts";
import { replaceWhile } from "./restore-replace.ts";
import { checkFile, compare, databaseOf } from "./restore-staged.ts";

/** Restores a file into a new one as it would be into a live one, and reads every page of that. The task's folder goes with the drill. */
export async function sqliteDrill(
  call: Call,
  task: RestoreTask,
  _target: Target | undefined,
  _limits: Limits,
): Promise<Drilled> {
  const where = "a SQLite file of its own";
  try {
    const { path, local } = databaseOf(task);
    const scratch = join(task.work, "drill.db");
    await writeFile(scratch, "", { mode: 0o600 });
    await replaceWhile(call, local, scratch);
    const { counts, breakdown, notes } = await checkFile(call, scratch, path);
    const problems = compare({ counts, breakdown }, task.expected);
    return { loaded: true, where, counts, breakdown, problems, notes };
  } catch (error) {
    throwIfAborted(call);
    const { code, message } = toOpsError(error);
    if (code !== "integrity") throw error;
    return { loaded: false, where, counts: {}, breakdown: {}, problems: [message], notes: [] };
  }
}
