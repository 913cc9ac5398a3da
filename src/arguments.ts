/** The command line as typed and as commander understands it. */
import type { Command, CommanderError } from "commander";
import { type OpsError, usageError } from "./errors.ts";
import { suggest } from "./suggest.ts";

/** Options before the command that take a value. */
const VALUE_FLAGS = new Set(["--config", "--profile", "--timeout"]);

/** The command of a command line: its first word that is neither a flag nor the value of one. */
export function commandName(args: readonly string[]): string | undefined {
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index]!;
    if (VALUE_FLAGS.has(arg)) index += 1;
    else if (!arg.startsWith("-")) return arg;
  }
  return undefined;
}

/**
 * `recall "-1 returned by connect"` is text, not a flag: an argument that starts with `-` and holds white space. It is marked with a NUL,
 * which no argument can hold, until the command gets it.
 */
export function protectTexts(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  return argv.map((arg, index) => {
    const isText = arg.startsWith("-") && /\s/.test(arg) && !/^--[a-z][a-z-]*=/.test(arg);
    return isText && (end === -1 || index < end) ? `\0${arg}` : arg;
  });
}

/** What a command gets: its positional texts and its options, as they were typed. */
export function restoreTexts(received: unknown[]): {
  positional: string[];
  options: Record<string, unknown>;
} {
  const restore = (value: unknown): unknown => {
    if (typeof value === "string") return value.replace(/^\0/, "");
    return Array.isArray(value) ? value.map(restore) : value;
  };
  const options = optionsOf(received.at(-1) as Command);
  const positional = received
    .slice(0, -2)
    .flatMap((value) => (value === undefined ? [] : restore(value))) as string[];
  return {
    positional,
    options: Object.fromEntries(Object.entries(options).map(([name, value]) => [name, restore(value)])),
  };
}

/**
 * The options of a command. Commander gives `--limit` of `fixes similar x --limit 1` to `fixes`, which has one too.
 * @throws OpsError `usage` for a flag that only the parent knows: it would be ignored
 */
function optionsOf(command: Command): Record<string, unknown> {
  const options = command.opts();
  const { parent } = command;
  for (const option of parent?.parent ? parent.options : []) {
    const name = option.attributeName();
    if (parent!.getOptionValueSource(name) !== "cli") continue;
    if (!command.options.some((own) => own.attributeName() === name))
      throw usageError(`${option.long} is no option of ${parent!.name()} ${command.name()}`);
    options[name] = parent!.getOptionValue(name);
  }
  return options;
}

/** A commander error as ours: its first line without `error: `, its suggestion as the hint. */
export function usageOf(error: CommanderError, args: readonly string[], program: Command): OpsError {
  const [first = "", ...rest] = error.message
    .replace(/^error: /, "")
    .replaceAll("\0", "")
    .split("\n");
  const suggestion = /\(Did you mean (.+)\?\)/.exec(rest.join(" "))?.[1];
  if (suggestion) return usageError(first, `did you mean ${suggestion}?`);
  if (error.code === "commander.unknownOption") {
    return usageError(
      first,
      "see --help; a text that starts with - goes after --, for example: opsctl recall -- -Xmx",
    );
  }
  const name = commandName(args) ?? "";
  if (error.code === "commander.unknownCommand") {
    return usageError(
      first,
      suggest(
        name,
        program.commands.map((command) => command.name()),
      ) ?? "see --help",
    );
  }
  if (error.code === "commander.excessArguments") {
    const subcommands = program.commands.find((command) => command.name() === name)?.commands ?? [];
    // too many arguments for 'fixes'. Expected 0 arguments but got 1: simlar.
    const [, of, given = ""] = /for '(.+?)'\. .* but got \d+: ([^,]*?)(?:,.*)?\.$/.exec(first) ?? [];
    if (subcommands.length === 0 || of !== name) return usageError(first, "quote a text of several words");
    const names = subcommands.map((command) => command.name());
    return usageError(
      `${name} has no subcommand "${given}"`,
      suggest(given, names) ?? `it has: ${names.join(", ")}`,
    );
  }
  return usageError(first, "see --help");
}
