import type { Command } from "commander";
import type * as v from "valibot";
import { type Archive, findArchive } from "../backup/archives.ts";
import type { drilledBackup } from "../contract/backup-drill.ts";
import { OpsError, usageError } from "../errors.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Drill, PartOutcome } from "../restore/drill.ts";
import { archiveFolder, DIR } from "./backup-folder.ts";
import { type Context, integer, type Run } from "./command.ts";
import { type DrillFlags, drillTools } from "./drill-tools.ts";
import { engineNames } from "./engines.ts";

type Drilled = v.InferOutput<typeof drilledBackup>;
type Part = Drilled["parts"][number];

interface DrillOptions extends DrillFlags {
  only?: string[];
  dir?: string;
}

export function defineDrill(command: Command, run: Run): void {
  command
    .command("drill")
    .description("restore an archive into scratch targets, compare what is there, and remove them")
    .argument(
      "[archive]",
      "its name, its path, or latest: the newest that is complete and verified",
      "latest",
    )
    .option("--only <engines...>", "parts of these engines: neo4j postgres redis sqlite")
    .option(...DIR)
    .option(
      "--trust-archive",
      "restore one that neither this host nor a signature vouches for: its dumps run code",
    )
    .option("--jobs <n>", "processes of pg_restore (default: one for each core)", integer("--jobs", 1, 64))
    .addHelpText(
      "after",
      `
PostgreSQL is restored into a scratch database on the server of DRILL_DATABASE_URL (default: DATABASE_URL), Redis into a redis-server
that is started for it (OPSCTL_REDIS_SERVER), SQLite into a file, Neo4j into the server of DRILL_NEO4J_URI, which must be empty; without
it the files are read to their end: nodes, end points and schema are rebuilt and counted, and loaded nowhere. Nothing that is in use is touched.

What came out is recorded beside the archive; what passed has the level drill, and the newest such archive outlives every retention.
Damage: exit code 23. A scratch target that does not answer is no verdict: 20. Work is done below OPSCTL_RESTORE_DIR (default: TMPDIR).

Examples:
  opsctl backup drill
  opsctl backup drill 20261121_030000 --only postgres redis
  opsctl backup drill /mnt/copies/20261121_030000.tar.gz --trust-archive
  opsctl backup drill --json | jq '.parts[] | {engine, result, loaded, problems}'`,
    )
    .action(run<DrillOptions>(drill));
}

async function drill(context: Context, [name]: string[], options: DrillOptions) {
  const { only } = options;
  if (name === "") throw usageError("the archive's name is empty", "name one: opsctl backup list");
  if (only?.includes("")) throw usageError("--only is empty", "name engines: neo4j postgres redis sqlite");
  const engines = only === undefined || only.includes("all") ? undefined : engineNames(only, []);
  const folder = archiveFolder(context, options.dir);
  const archive = await findArchive(folder, name!);
  const [tools, { drillArchive }] = await Promise.all([
    drillTools(context, options),
    import("../restore/drill.ts"),
  ]);
  const drilled = await drillArchive(context.call, archive, engines, tools);
  const data = describe(folder, archive, drilled);
  return { data, render: (io: Io) => render(io, data), failure: drillFailure(archive, drilled) };
}

function describe(
  dir: string,
  { name, path, container, encrypted, size_bytes }: Archive,
  { parts, ...drilled }: Drill,
): Drilled {
  const shared = { dir, name, path, container, encrypted, size_bytes };
  return { ...shared, ...drilled, parts: parts.map(partRow) };
}

function partRow({ engine, name, drilled, problems, compared, error, duration_ms }: PartOutcome): Part {
  return {
    engine,
    name,
    result: problems.length > 0 ? "damaged" : error ? "error" : "ok",
    loaded: drilled?.loaded ?? null,
    where: drilled?.where ?? null,
    problems,
    counts: drilled?.counts ?? {},
    breakdown: drilled?.breakdown ?? {},
    compared,
    notes: drilled?.notes ?? [],
    duration_ms,
    error: error && { code: error.code, message: error.message, hint: error.hint ?? null },
  };
}

/** Damage comes before what could not be drilled. Undefined: it passed. */
export function drillFailure({ path }: Archive, { problems, parts }: Drill): OpsError | undefined {
  const found = [
    ...problems.map(({ message }) => message),
    ...parts.flatMap(({ engine, name, problems }) =>
      problems.map((problem) => `${engine} ${name}: ${problem}`),
    ),
  ];
  if (found.length > 0)
    return new OpsError({
      code: "integrity",
      message: `${path} is damaged: ${found[0]}${found.length > 1 ? `; and ${found.length - 1} more` : ""}`,
      hint: "opsctl backup list shows the other archives",
    });
  const failed = parts.find(({ error }) => error);
  if (failed === undefined) return undefined;
  const { engine, name, error } = failed;
  const { code, message, hint } = error!;
  return new OpsError({
    code,
    engine,
    message: `${engine} ${name} was not drilled: ${message}`,
    hint: hint ?? "run the drill again with -v",
    cause: error,
  });
}

/** Columns of `backup drill`: part, where, loaded or read, result, time, what is wrong or what was compared. */
const COLUMNS: readonly Column<Part>[] = [
  { header: "PART", value: ({ engine, name }) => `${engine} ${name}` },
  { header: "WHERE", value: ({ where }) => where, flexible: true },
  { header: "DONE", value: ({ loaded }) => (loaded === null ? null : loaded ? "loaded" : "read") },
  {
    header: "RESULT",
    value: ({ result }) => result,
    style: ({ result }) => (result === "ok" ? "green" : "red"),
  },
  {
    header: "TIME",
    value: ({ duration_ms: ms }) => ms,
    shown: ({ duration_ms: ms }) => `${(ms / 1000).toFixed(1)} s`,
    align: "right",
  },
  {
    header: "WHAT",
    value: ({ problems, error, compared }) => problems[0] ?? error?.message ?? `${compared} counts compared`,
    flexible: true,
  },
];

async function render(io: Io, { name, parts, notes }: Drilled): Promise<void> {
  await printTable(io, COLUMNS, parts);
  for (const part of parts) {
    for (const problem of part.problems.slice(1)) io.note(`${part.engine} ${part.name}: ${problem}`);
    for (const note of part.notes) io.note(`${part.engine} ${part.name}: ${note}`);
  }
  for (const note of notes) io.note(`${name}: ${note}`);
}
