import type { Command } from "commander";
import { defineDiff } from "./backup-diff.ts";
import { defineDrill } from "./backup-drill.ts";
import { DIR } from "./backup-folder.ts";
import { defineList } from "./backup-list.ts";
import { DEFAULTS } from "./backup-request.ts";
import { defineSchedule } from "./backup-schedule.ts";
import { defineShow } from "./backup-show.ts";
import { defineVerify } from "./backup-verify.ts";
import { collect, duration, type Handler, type Run } from "./command.ts";
import { defineRetention } from "./retention-options.ts";

const ENGINES = "neo4j postgres redis sqlite, or all (default: what is configured, and the embedded file)";

export function define(command: Command, run: Run): void {
  // each subcommand reads its own file only
  const lazily = <O>(load: () => Promise<Handler<O>>) =>
    run<O>(async (context, args, options) => (await load())(context, args, options));
  command.addHelpText(
    "after",
    `
Without a subcommand: create. One archive holds all engines: backups/YYYYMMDD_HHMMSS.tar.gz (UTC), and beside it
YYYYMMDD_HHMMSS.json with its digest. Servers stay up and keep writing.

Examples:
  opsctl backup
  opsctl backup postgres --output latest.dump
  opsctl backup sqlite --output opsbrain_backup_20250115.db
  opsctl backup --keep-daily 7 --keep-weekly 4
  opsctl backup list
  opsctl backup verify latest --level parse
  opsctl backup drill latest`,
  );
  const create = command
    .command("create", { isDefault: true })
    .description("make an archive of everything, and verify it")
    .argument("[engines...]", ENGINES)
    .option(
      "-o, --output <path>",
      "a folder for the archive; or a file: .tar.gz, .tar.zst, or of one engine .dump .sql .rdb .db .ndjson .cypher",
    )
    .option(...DIR)
    .option("--name <name>", "name of the archive (default: the time, YYYYMMDD_HHMMSS in UTC)")
    .option("--format <format>", "tar.gz, tar.zst, or dir: a plain folder (default: tar.gz)")
    .option(
      "--databases <names>",
      "PostgreSQL: databases beside that of the URL, separated by commas; or all",
    )
    .option("--sqlite <file>", "SQLite: another file beside the embedded one; may be repeated", collect)
    .option(
      "--freeze <when>",
      "Neo4j: hold writers for a consistent export: never, auto (when writes came in between), always",
      DEFAULTS.freeze,
    )
    .option(
      "--freeze-timeout <duration>",
      "Neo4j: writers wait no longer than this (default: 30s)",
      duration("--freeze-timeout"),
    )
    .option(
      "--neo4j-method <method>",
      "export (typed NDJSON), cypher (a script for cypher-shell), dump (neo4j-admin, stops the server)",
      DEFAULTS.neo4jMethod,
    )
    .option("--redis-method <method>", "psync (as a replica), scan (key by key), auto", DEFAULTS.redisMethod)
    .option("--require-consistent", "exit with 3 when a part is fuzzy")
    .option("--encrypt-to <recipient>", "encrypt to an age public key (age1…); may be repeated", collect)
    .option("--verify <level>", "how to verify it afterwards: structure, checksums, parse", DEFAULTS.verify)
    .option("--drill", "and restore it into scratch targets: see backup drill");
  defineRetention(create)
    .option("--no-retention", "remove no old archives")
    .action(lazily(async () => (await import("./backup-create.ts")).create));
  defineList(command, run);
  defineShow(command, run);
  defineVerify(command, run);
  defineDrill(command, run);
  defineDiff(command, run);
  command
    .command("grants")
    .description("print the roles and access lists of users who may do no more than back up")
    .argument("[engines...]", "neo4j postgres redis, or all (default: all)")
    .action(lazily(async () => (await import("./backup-grants.ts")).grants));
  defineSchedule(command, run);
}
