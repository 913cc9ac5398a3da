import type { Command } from "commander";
import { FORMATS } from "../migrate/port.ts";
import { duration, type Handler, integer, type Run } from "./command.ts";

const ENGINES = "neo4j postgres redis sqlite, or all (default: those with a folder of migrations)";
const ENGINE = "neo4j, postgres, redis or sqlite (may be left out when only one is configured)";

export function define(command: Command, run: Run): void {
  // each subcommand reads its own file only: starting is most of what `status` costs
  const lazily = <O>(load: () => Promise<Handler<O>>) =>
    run<O>(async (context, args, options) => (await load())(context, args, options));

  command
    .addHelpText(
      "after",
      `
The files of an engine are in migrations/<engine>/, or in the folder of --dir. Their layout is recognised: opsctl's own
(V001-create-users-up.sql, V001-create-users-down.sql, 2025-01-15-001-add-index.cypher), golang-migrate, dbmate, diesel.
Without a subcommand: the status.

Examples:
  opsctl migrate new postgres "create users"
  opsctl migrate up --dry-run
  opsctl migrate up
  opsctl migrate down postgres
  opsctl migrate status --exit-code`,
    )
    .action(lazily(async () => (await import("./migrate-status.ts")).status));

  const upCommand = source(command.command("up"))
    .description("apply what is pending, file by file")
    .argument("[engines...]", ENGINES);
  extent(upCommand, "the last version to apply", "files to apply (default: all)");
  limits(upCommand)
    .option("--dry-run", "print what would be sent; write nothing")
    .option("--no-copy", "SQLite: keep no copy of the file as it was before")
    .option("--wait <duration>", "wait that long for a server that does not answer yet", duration("--wait"))
    .action(lazily(async () => (await import("./migrate-run.ts")).up));

  const downCommand = source(command.command("down"))
    .description("roll back what was applied last")
    .argument("[engine]", ENGINE);
  extent(downCommand, "the version that stays; 0 rolls all back", "files to roll back (default: 1)");
  limits(downCommand)
    .option("--dry-run", "print what would be sent; write nothing")
    .option("-y, --yes", "do not ask")
    .option("--no-copy", "SQLite: keep no copy of the file as it was before")
    .action(lazily(async () => (await import("./migrate-run.ts")).down));

  limits(source(command.command("redo")))
    .description("roll the last file back and apply it again, while it is being written")
    .argument("[engine]", ENGINE)
    .option("-y, --yes", "do not ask")
    .option("--no-copy", "SQLite: keep no copy of the file as it was before")
    .action(lazily(async () => (await import("./migrate-run.ts")).redo));

  source(command.command("status"))
    .description("list every version: applied, pending, broken off, edited, missing")
    .argument("[engines...]", ENGINES)
    .option("--exit-code", "exit with 4 when something is pending or wrong")
    .option("--all", "the shipped schemas too")
    .option("--drift <file>", "compare the schema with a file of `migrate dump`; exit with 4 when it differs")
    .action(lazily(async () => (await import("./migrate-status.ts")).status));

  command
    .command("history")
    .description(
      "list the last thing that was done with each version, newest first, shipped schemas included",
    )
    .argument("[engines...]", "neo4j postgres redis sqlite, or all (default: what is configured)")
    .option("--limit <n>", "rows", integer("--limit", 1, 100_000), 50)
    .option("--database <path>", "SQLite: another file than the embedded one")
    .action(lazily(async () => (await import("./migrate-status.ts")).history));

  command
    .command("new")
    .description("create the empty files of the next version")
    .argument("<engine>", "neo4j, postgres, redis or sqlite")
    .argument("<description...>", "what it does, for the file name")
    .option("--dir <path>", "folder of the files")
    .option("--format <name>", `${FORMATS.join(", ")} or auto`, "auto")
    .action(lazily(async () => (await import("./migrate-files.ts")).create));

  source(command.command("verify"))
    .description(
      "compare the files with the history, and look in pending ones for what must not run; exit code 4 when something is wrong",
    )
    .argument("[engines...]", ENGINES)
    .action(lazily(async () => (await import("./migrate-status.ts")).verify));

  waitForLock(source(command.command("baseline")))
    .description("record files as applied without running them: the database holds what they make")
    .argument(
      "[engine-and-version...]",
      "an engine (may be left out when only one is configured) and the last version; 0: none",
    )
    .option(
      "--from-history",
      "take the versions from the table of golang-migrate, dbmate or diesel, which is only read",
    )
    .action(lazily(async () => (await import("./migrate-mend.ts")).baseline));

  limits(source(command.command("repair")))
    .description("settle a file that was broken off: go on with it, or say what it is")
    .argument(
      "[engine-and-version...]",
      "an engine (may be left out when only one is configured) and a version (default: the one that is broken off)",
    )
    .option("--retry", "run it from the statement on that was under way")
    .option("--statement <n>", "with --retry: from this statement on", integer("--statement", 1, 1_000_000))
    .option("--mark <state>", "applied, failed (the statement under way had no effect) or reverted")
    .option("-y, --yes", "do not ask")
    .action(lazily(async () => (await import("./migrate-mend.ts")).repair));

  command
    .command("dump")
    .description("print the schema; the same schema gives the same text")
    .argument("[engine]", ENGINE)
    .option("--output <file>", "write it to a file (-: to stdout)")
    .option("--database <path>", "SQLite: another file than the embedded one")
    .action(lazily(async () => (await import("./migrate-files.ts")).dump));
}

/** Where the files are and where they go. */
function source(command: Command): Command {
  return command
    .option("--dir <path>", "folder of the files, for one engine")
    .option("--format <name>", `layout of the folder: ${FORMATS.join(", ")} or auto`, "auto")
    .option("--set <name>", "a shipped schema instead of your own files, for example memory")
    .option("--database <path>", "SQLite: another file than the embedded one");
}

function extent(command: Command, to: string, steps: string): void {
  command.option("--to <version>", to).option("--steps <n>", steps, integer("--steps", 1, 1_000_000));
}

function waitForLock(command: Command): Command {
  return command.option(
    "--lock-wait <duration>",
    "how long to wait while another runner works (default: 5m)",
    duration("--lock-wait"),
  );
}

function limits(command: Command): Command {
  return waitForLock(command)
    .option(
      "--lock-timeout <duration>",
      "how long a statement waits for a lock on a table; the file is tried again a few times (default: 5s)",
      duration("--lock-timeout"),
    )
    .option(
      "--statement-timeout <duration>",
      "how long a statement may take (default: no limit)",
      duration("--statement-timeout"),
    );
}
