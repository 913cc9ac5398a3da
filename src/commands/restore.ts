import type { Command } from "commander";
import { DIR } from "./backup-folder.ts";
import { type Handler, integer, type Run } from "./command.ts";

export interface RestoreFlags {
  only?: string[];
  fromFile?: string;
  dir?: string;
  dryRun?: boolean;
  yes?: boolean;
  trustArchive?: boolean;
  /** With an id: of the restore that is meant. */
  rollback?: boolean | string;
  forget?: boolean;
  resume?: boolean;
  abort?: boolean;
  into?: string;
  targetDb?: string;
  sqlite?: string[];
  redisMethod: string;
  listen?: string;
  jobs: number;
}

export function define(command: Command, run: Run): void {
  const lazily = <O>(load: () => Promise<Handler<O>>) =>
    run<O>(async (context, args, options) => (await load())(context, args, options));
  command
    .argument("[archive]", "a name, latest, or a path (default: list the archives)")
    .option("--only <engines...>", "restore these engines alone: neo4j postgres redis sqlite")
    .option(
      "--from-file <file>",
      "restore one engine's own file: .sql .dump .rdb .db .ndjson .cypher; with --only",
    )
    .option(...DIR)
    .option("--dry-run", "verify the archive and print the plan; change nothing")
    .option("-y, --yes", "do not ask for the archive's name")
    .option("--trust-archive", "take an archive that neither this host made nor our key signed")
    .option(
      "--into <url>",
      "another server than the configured one, without password: its engine alone is restored",
    )
    .option("--target-db <name>", "PostgreSQL: restore the archive's one database under this name")
    .option(
      "--sqlite <name=file>",
      "SQLite: where a file of the archive goes; may be repeated",
      (value, all) => [...all, value],
      [] as string[],
    )
    .option(
      "--redis-method <method>",
      "replica (opsctl poses as its master), commands (key by key), auto",
      "auto",
    )
    .option("--listen <host[:port]>", "Redis: where the server reaches this program (default: found out)")
    .option("--jobs <n>", "PostgreSQL: processes of pg_restore", integer("--jobs", 1, 64), 2)
    .option("--rollback [id]", "undo the last restore, or the last that can be undone, by its id")
    .option("--forget", "remove what restores kept of the data before them: there is no way back then")
    .option("--resume", "go on with a restore that was cut off")
    .option("--abort", "undo a restore that was cut off")
    .addHelpText(
      "after",
      `
The whole archive is verified before anything is touched. Then everything is prepared beside the live data, OPSCTL_RESTORE_STOP runs, what
will be replaced is copied, all parts are swapped in and counted, and OPSCTL_RESTORE_START runs. What fails is undone.

Examples:
  opsctl restore
  opsctl restore latest --dry-run
  opsctl restore 20250115_143022
  opsctl restore latest --only postgres --yes
  opsctl restore --from-file backups/latest.sql --only postgres
  opsctl restore --rollback`,
    )
    .action(lazily(async () => (await import("./restore-run.ts")).restore));
}
