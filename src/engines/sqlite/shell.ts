import { parseCommandString } from "execa";
import type { Target } from "../../config/targets.ts";
import type { ShellCommand } from "../../query/port.ts";

/** The sqlite3 shell on the file. */
export function sqliteShell(target: Target, program = "sqlite3"): ShellCommand {
  const [file = "sqlite3", ...words] = parseCommandString(program);
  return { file, args: [...words, target.url], env: {} };
}
