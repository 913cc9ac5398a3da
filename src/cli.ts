import { Command, CommanderError } from "commander";
import { commandName, protectTexts, restoreTexts, usageOf } from "./arguments.ts";
import type { CommandModule, Context, Globals, Handler, Result, Run } from "./commands/command.ts";
import { duration } from "./commands/command.ts";
import { EXIT_CODES } from "./errors.ts";
import { TOOL_VERSION } from "./package.ts";

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
    name: "migrate",
    summary: "apply, roll back and check the files of your own schemas",
    load: () => import("./commands/migrate.ts"),
  },
  {
    name: "backup",
    summary: "make, list and verify archives of all databases",
    load: () => import("./commands/backup.ts"),
  },
  {
    name: "restore",
    summary: "bring an archive back, or undo that",
    load: () => import("./commands/restore.ts"),
  },
  {
    name: "migrate-volumes",
    summary: "copy Docker volumes into folders of this host",
    load: () => import("./commands/migrate-volumes.ts"),
  },
  {
    name: "cleanup",
    summary: "remove what has had its time: archives, samples, leftovers",
    load: () => import("./commands/cleanup.ts"),
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
  {
    name: "stats",
    summary: "show the figures of every database, and what is stored where",
    load: () => import("./commands/stats.ts"),
  },
  {
    name: "health",
    summary: "check disk, memory, CPU and every database",
    load: () => import("./commands/health.ts"),
  },
  {
    name: "doctor",
    summary: "find what is wrong, and the command that mends it",
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "metrics",
    summary: "print all figures for Prometheus",
    load: () => import("./commands/metrics.ts"),
  },
  {
    name: "wait",
    summary: "wait until the databases answer real queries",
    load: () => import("./commands/wait.ts"),
  },
  {
    name: "maintain",
    summary: "vacuum, reindex and compact where it pays",
    load: () => import("./commands/maintain.ts"),
  },
  {
    name: "query",
    summary: "run one statement, print its rows",
    load: () => import("./commands/query.ts"),
  },
  {
    name: "shell",
    summary: "open psql, redis-cli, cypher-shell or sqlite3, connected",
    load: () => import("./commands/shell.ts"),
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
