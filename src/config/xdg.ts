import { homedir } from "node:os";
import { join } from "node:path";

/** XDG base directory, for example `("XDG_DATA_HOME", ".local/share")`. */
export function xdgDirectory(env: NodeJS.ProcessEnv, variable: string, fallback: string): string {
  const configured = env[variable];
  if (configured?.startsWith("/")) return join(configured, "opsctl");
  return join(env["HOME"] || homedir(), fallback, "opsctl");
}
