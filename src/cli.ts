import { Command, CommanderError } from "commander";
import type { CommandModule, Context, Globals, Handler, Result, Run } from "./commands/command.ts";
import { duration } from "./commands/command.ts";
import { EXIT_CODES, usageError } from "./errors.ts";
import { TOOL_VERSION } from "./package.ts";
import { suggest } from "./suggest.ts";

interface CommandEntry {
  name: string;
  summary: string;
  load: () => Promise<CommandModule>;
}

/** The command tree: one line a command, loaded only when it runs. */
const COMMANDS: readonly CommandEntry[] = [
  {
    name: "init",
    summary: "apply the shipped schemas and settings",
    load: () => import("./commands/init.ts"),
  },
  {
    name: "register-agent",
    summary: "register an agent, or update it",
    load: () => import("./commands/register-agent.ts"),
  },
  {
    name: "agents",
    summary: "list agents and when they were last seen",
    load: () => import("./commands/agents.ts"),
  },
  {
    name: "remember",
    summary: "store what was done about an issue",
    load: () => import("./commands/remember.ts"),
  },
  { name: "recall", summary: "find what helped before", load: () => import("./commands/recall.ts") },
  {
    name: "fixes",
    summary: "list, show, import, export and forget fixes",
    load: () => import("./commands/fixes.ts"),
  },
  { name: "stats", summary: "count what is stored and where", load: () => import("./commands/stats.ts") },
  {
    name: "health",
    summary: "check disk, memory, CPU and every database",
    load: () => import("./commands/health.ts"),
  },
  {
    name: "queue",
    summary: "list and deliver writes that wait for a server",
    load: () => import("./commands/queue.ts"),
  },
  {
    name: "env",
    summary: "show every setting, where it comes from, and the files",
    load: () => import("./commands/env.ts"),
  },
  {
    name: "completion",
    summary: "print a completion script for bash, zsh or fish",
    load: () => import("./commands/completion.ts"),
  },
  {
    name: "help",
    summary: "explain a command, or: exit-codes, environment, json",
    load: () => import("./commands/help.ts"),
  },
];

export const COMMAND_NAMES: readonly string[] = COMMANDS.map(({ name }) => name);

/** Opens a context for a command: configuration is read only now. */
export type OpenContext = (globals: Globals) => Promise<Context>;
export type Finish = (context: Context, result: Result, strict: boolean) => Promise<void>;

/** Options before the command that take a value. */
const VALUE_FLAGS = new Set(["--config", "--profile", "--timeout"]);

/**
 * A program whose named command is loaded and all others are stubs, so that `--help` and spelling suggestions know them.
 * @param names commands to load; `opsctl fixes …` needs one file, not all
 */
export async function buildProgram(names: readonly string[], run: Run): Promise<Command> {
  const program = new Command("opsctl")
    .description("Operate Neo4j, PostgreSQL, Redis and SQLite, and remember which fix worked.")
    .usage("[options] <command>")
    .option("--json", "print one JSON object")
    .option("-q, --quiet", "no notes on stderr")
    .option("-v, --verbose", "debug log, and stack traces of errors")
    .option("--config <file>", "configuration file (default: ./opsctl.toml)")
    .option("--profile <name>", "profile of the configuration file that wins over everything else")
    .option("--no-color", "no colour")
    .option("--no-input", "never ask")
    .option("--timeout <duration>", "time for the whole command, for example 90s", duration("--timeout"))
    .version(TOOL_VERSION, "--version", "print the version")
    .helpCommand(false)
    .helpOption("-h, --help", "print help")
    .configureHelp({ showGlobalOptions: true, subcommandTerm: (command) => command.name() })
    .configureOutput({ writeErr: () => {}, outputError: () => {} })
    .addHelpText("afterAll", `\n${exitCodeLine()}`)
    .exitOverride();
  for (const { name, summary, load } of COMMANDS) {
    const command = program.command(name).description(summary);
    command.copyInheritedSettings(program);
    if (names.includes(name)) (await load()).define(command, run);
    else command.argument("[args...]").allowUnknownOption();
  }
  for (const command of program.commands) inherit(command);
  return program;
}

function inherit(command: Command): void {
  for (const sub of command.commands) {
    sub.copyInheritedSettings(command);
    inherit(sub);
  }
}

function exitCodeLine(): string {
  const codes = Object.values(EXIT_CODES).join(", ");
  return `Exit codes: ${codes}; \`opsctl help exit-codes\` explains them.`;
}

/** Parses and runs one command line. Throws OpsError; `main.ts` turns that into an exit code. */
export async function runCli(argv: readonly string[], open: OpenContext, finish: Finish): Promise<void> {
  const args = protectTexts(argv);
  let work: Promise<void> | undefined;
  const run: Run =
    <O>(handler: Handler<O>) =>
    (...received: unknown[]) => {
      const command = received.at(-1) as Command;
      const { positional, options } = restoreTexts(received);
      work = (async () => {
        const context = await open(command.optsWithGlobals<Globals>());
        const result = await handler(context, positional, options as O);
        if (result) await finish(context, result, options["strict"] === true);
      })();
    };
  const name = commandName(args);
  const program = await buildProgram(name === undefined ? [] : [name], run);
  try {
    if (name === undefined && !args.some((arg) => ["-h", "--help", "--version"].includes(arg))) {
      rejectUnknownFlags(program, args);
      program.outputHelp();
      return;
    }
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usageOf(error, args, program);
  }
  await work;
}

function rejectUnknownFlags(program: Command, args: string[]): void {
  program.action(() => {});
  program.parse(args, { from: "user" });
}

function commandName(args: readonly string[]): string | undefined {
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
function protectTexts(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  return argv.map((arg, index) => {
    const isText = arg.startsWith("-") && /\s/.test(arg) && !/^--[a-z][a-z-]*=/.test(arg);
    return isText && (end === -1 || index < end) ? `\0${arg}` : arg;
  });
}

function restoreTexts(received: unknown[]): { positional: string[]; options: Record<string, unknown> } {
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
function usageOf(error: CommanderError, args: readonly string[], program: Command) {
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
    return usageError(first, suggest(name, COMMAND_NAMES) ?? "see --help");
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
