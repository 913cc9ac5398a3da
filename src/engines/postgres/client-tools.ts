/** The programs that PostgreSQL brings for its clients. */
import type { ToolVersion } from "../../backup/port.ts";
import type { Call } from "../../call.ts";
import { readTool, type ToolOptions } from "../../child.ts";
import { OpsError } from "../../errors.ts";

export type ClientTool = "pg_dump" | "pg_dumpall" | "pg_restore";

/** How each of them is run: messages in English, and what to do when one is missing. */
export const TOOL_OPTIONS = {
  engine: "postgres",
  env: { LC_ALL: "C" },
  hint: "install the client programs of PostgreSQL (Debian: postgresql-client) and put them on PATH",
} as const satisfies ToolOptions;

/** Options of a program that connects: the password travels by environment. */
export function toolOptions(environment: Record<string, string | undefined>): ToolOptions {
  return { ...TOOL_OPTIONS, env: { ...TOOL_OPTIONS.env, ...environment } };
}

/**
 * The versions of these programs, none of which may be older than the server: pg_dump refuses a newer server, and its message names neither what
 * to install nor which one was found; pg_restore reads no dump of a newer pg_dump.
 * @param server major version
 * @param address for the message
 * @throws OpsError `failed` when one is missing or older
 */
export async function requireTools(
  call: Call,
  names: readonly ClientTool[],
  server: number,
  address: string,
): Promise<ToolVersion[]> {
  const tools = await Promise.all(
    names.map(async (name) => ({ name, version: await versionOf(call, name) })),
  );
  const old = tools.find(({ version }) => majorOf(version) < server);
  if (old) {
    throw new OpsError({
      code: "failed",
      engine: "postgres",
      message: `${old.name} is version ${majorOf(old.version)}, and the server at ${address} is version ${server}`,
      hint: `install the client programs of PostgreSQL ${server} and put them first on PATH`,
    });
  }
  return tools;
}

/** As in `15.18` or `18beta1`. */
async function versionOf(call: Call, name: ClientTool): Promise<string> {
  const said = await readTool(call, name, ["--version"], TOOL_OPTIONS);
  return /\(PostgreSQL\) (\S+)/.exec(said)?.[1] ?? "0";
}

function majorOf(version: string): number {
  return Number.parseInt(version, 10);
}
