import type { Command } from "commander";
import { SETTINGS, type Setting } from "../config/settings.ts";
import { EXIT_CODE_MEANINGS, EXIT_CODES, usageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import type { Run } from "./command.ts";

const TOPICS: Readonly<Record<string, () => Promise<string> | string>> = {
  "exit-codes": exitCodes,
  environment,
  json: async () => (await import("../contract/describe.ts")).describeContracts(),
};

/** Needs no configuration: help must work when that is broken. */
export function define(command: Command, _run: Run): void {
  command
    .argument("[topic...]", "a command with its subcommand, or exit-codes, environment, json")
    .action(async (topic: string[]) => {
      process.stdout.write(await textOf(topic.flatMap((word) => word.split(" "))));
    });
}

async function textOf([topic, subtopic]: string[]): Promise<string> {
  const { buildProgram, COMMAND_NAMES } = await import("../cli.ts");
  const write = topic === undefined ? undefined : TOPICS[topic];
  if (write) return await write();
  const isCommand = topic !== undefined && COMMAND_NAMES.includes(topic);
  const program = await buildProgram(isCommand ? [topic] : [], () => () => {});
  if (topic === undefined) return helpText(program);
  const command = find(program, topic, [...COMMAND_NAMES, ...Object.keys(TOPICS)]);
  if (subtopic === undefined) return helpText(command);
  const names = command.commands.map((sub) => sub.name());
  return helpText(find(command, subtopic, names));
}

function find(parent: Command, name: string, known: readonly string[]): Command {
  const command = parent.commands.find((one) => one.name() === name);
  if (command) return command;
  throw usageError(
    `there is no help on "${name}"`,
    suggest(name, known) ?? `there is help on ${known.join(", ")}`,
  );
}

function helpText(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

/** The table of exit codes, as text. */
export function exitCodes(): string {
  const rows = Object.entries(EXIT_CODES).map(
    ([name, code]) => `${String(code).padStart(4)}  ${EXIT_CODE_MEANINGS[name as keyof typeof EXIT_CODES]}`,
  );
  return `The same codes for every command:\n\n${rows.join("\n")}\n`;
}

/** Every setting, as text. */
export function environment(): string {
  const rows = (SETTINGS as readonly Setting[]).map(({ name, doc, default: fallback, secret }) => {
    const notes = [fallback === undefined ? [] : `default ${fallback}`, secret ? "secret" : []].flat();
    return `${name.padEnd(24)}${doc}${notes.length > 0 ? ` (${notes.join("; ")})` : ""}`;
  });
  return `${rows.join("\n")}

A secret X may come from a file named by X_FILE, or from the output of a command in X_COMMAND (run without a shell).
OPSCTL_CONFIG names the configuration file; NO_COLOR and FORCE_COLOR are respected.

Precedence: profile named by --profile, environment, .env beside the configuration file, its [default] profile, default.
The configuration file is --config, OPSCTL_CONFIG, ./opsctl.toml, or opsctl/opsctl.toml in the XDG config directory. Its tables are
profiles with these names as keys:

  [default]
  DATABASE_URL = "postgresql://opsctl@db.example/memori"
  POSTGRES_PASSWORD_FILE = "/run/secrets/postgres"

  [staging]
  DATABASE_URL = "postgresql://opsctl@staging.example/memori"
`;
}
