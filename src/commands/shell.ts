import type { Command } from "commander";
import { SETTINGS, SHELL_SETTINGS } from "../config/settings.ts";
import { OpsError } from "../errors.ts";
import type { Context, Run } from "./command.ts";
import { oneEngine } from "./engines.ts";

export function define(command: Command, run: Run): void {
  command
    .argument("<engine>", "neo4j, postgres, redis or sqlite")
    .argument("[arguments...]", "for the shell itself, after --")
    .addHelpText(
      "after",
      `
Starts cypher-shell, psql, redis-cli or sqlite3 with the connection of this configuration. The password travels in the shell's
environment, never in its arguments. OPSCTL_CYPHER_SHELL, OPSCTL_PSQL, OPSCTL_REDIS_CLI and OPSCTL_SQLITE3 say how they are called
here. Its exit code becomes opsctl's.

Examples:
  opsctl shell postgres
  opsctl shell redis -- --bigkeys
  opsctl shell postgres -- -c 'TABLE memori_agents'`,
    )
    .action(run(shell));
}

async function shell({ app, call, globals }: Context, [name = "", ...words]: string[]) {
  if (globals.json) {
    throw new OpsError({
      code: "usage",
      message: "shell prints what the engine's own shell prints: --json has no meaning",
      hint: `opsctl query ${name || "postgres"} "…" --json`,
    });
  }
  const engine = oneEngine(app, name);
  const { file, args, env } = await app.shell(app.targets[engine]!);
  const { runAttached } = await import("../child.ts");
  process.exitCode = await runAttached(call, file, [...args, ...words], {
    env: { ...WITHOUT_SECRETS, ...env },
    engine,
    hint: `install ${file}, or say how it is called: ${SHELL_SETTINGS[engine]}`,
  });
  return undefined;
}

/** A shell needs its own password, not those of the other engines and of archives. */
const WITHOUT_SECRETS: Record<string, undefined> = Object.fromEntries(
  SETTINGS.flatMap((setting) => ("secret" in setting ? [[setting.name, undefined]] : [])),
);
