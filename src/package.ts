import { existsSync } from "node:fs";
import { dirname, join } from "node:path";

declare const OPSCTL_VERSION: string | undefined;

/** Version of this program; the bundle carries it, a run from the sources is `0.0.0-dev`. */
export const TOOL_VERSION: string = typeof OPSCTL_VERSION === "string" ? OPSCTL_VERSION : "0.0.0-dev";

/** Folder of the installed package: the nearest one above this file that holds package.json and init/. */
export function packageRoot(): string {
  let folder = import.meta.dirname;
  while (!(existsSync(join(folder, "package.json")) && existsSync(join(folder, "init")))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error("opsctl is not installed completely: its init/ folder is missing");
    folder = parent;
  }
  return folder;
}
