import { join, resolve } from "node:path";
import type { Command } from "commander";
import type * as v from "valibot";
import { makeFolder } from "../backup/work.ts";
import type { migratedVolumes } from "../contract/volumes.ts";
import { type EngineName, usageError } from "../errors.ts";
import { bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { Found } from "../volumes/find.ts";
import type { MigrationRequest, Moved } from "../volumes/migrate.ts";
import { type Context, collect, type Run } from "./command.ts";
import { engineNames } from "./engines.ts";

type MigratedVolumes = v.InferOutput<typeof migratedVolumes>;

interface VolumesOptions {
  dir: string;
  volume?: string[];
  image?: string;
  dryRun?: boolean;
}

const ENGINES: readonly EngineName[] = ["neo4j", "postgres", "redis", "sqlite"];

export function define(command: Command, run: Run): void {
  command
    .argument("[engine...]", "neo4j, postgres, redis, sqlite or all (default: those that have a volume)")
    .option("--dir <folder>", "where the folders of the engines are", "data")
    .option(
      "--volume <engine=name>",
      "the volume of an engine (neo4j/logs=name: of a folder of it); may be repeated",
      collect,
    )
    .option(
      "--image <name>",
      "image, on this host, of the container that a volume is read through (default: one that uses it)",
    )
    .option("--dry-run", "print what would be copied; write nothing")
    .addHelpText(
      "after",
      `
Copies Docker volumes into ./data/<engine>: neo4j into data, logs and plugins below it. Containers that may write to a volume
must be stopped. The copy is made beside its place, compared with the volume (counts, and SHA-256 of every file), and then
renamed; the volumes stay. Run it as root where owners of files must be kept.

Examples:
  opsctl migrate-volumes --dry-run
  opsctl migrate-volumes postgres redis
  opsctl migrate-volumes neo4j --volume neo4j=app-neo4j-data --volume neo4j/logs=app-neo4j-logs`,
    )
    .action(run<VolumesOptions>(migrateVolumes));
}

async function migrateVolumes({ app, call }: Context, args: string[], options: VolumesOptions) {
  const volumes = named(options.volume ?? []);
  const engines = args.length === 0 && volumes.size > 0 ? [...volumes.keys()] : engineNames(args, ENGINES);
  const request: MigrationRequest = {
    dir: resolve(app.config.cwd, options.dir),
    engines,
    areNamed: args.length > 0 && !args.includes("all"),
    volumes,
    image: options.image,
  };
  const isDry = options.dryRun === true;
  const { planVolumes } = await import("../volumes/migrate.ts");
  const planned = await planVolumes(call, request);
  const swept = isDry ? [] : await move({ app, call }, request, planned);
  const data = described(request, planned, isDry, swept);
  const failure = planned.find(({ error }) => error)?.error ?? undefined;
  return { data, render: (io: Io) => render(io, data), failure };
}

async function move(
  { app, call }: Pick<Context, "app" | "call">,
  request: MigrationRequest,
  planned: readonly Moved[],
): Promise<string[]> {
  const { moveVolumes, sweepVolumes } = await import("../volumes/migrate.ts");
  makeFolder(request.dir);
  const lock = await app.backupLock(call, request.dir);
  try {
    const swept = await sweepVolumes(call, request);
    await moveVolumes(call, request, planned);
    return swept;
  } finally {
    await lock.release();
  }
}

/** `engine=name` or `engine/folder=name`. */
function named(given: readonly string[]): Map<EngineName, Found[]> {
  const volumes = new Map<EngineName, Found[]>();
  for (const one of given) {
    const [, name, folder, volume] =
      /^([^/=]+)(?:\/([A-Za-z0-9_-]+))?=([A-Za-z0-9][A-Za-z0-9_.-]*)$/.exec(one) ?? [];
    if (name === undefined || volume === undefined)
      throw usageError(
        `--volume: "${one}" is not ENGINE=NAME`,
        "for example --volume postgres=app_postgres_data",
      );
    const [engine] = engineNames([name], ENGINES) as [EngineName];
    const found = { volume, folder: folder ?? (engine === "neo4j" ? "data" : "") };
    const others = volumes.get(engine) ?? [];
    if (others.some((other) => isWithin(other.folder, found.folder)))
      throw usageError(`--volume: "${one}" and another one are for the same folder`);
    volumes.set(engine, [...others, found]);
  }
  return volumes;
}

/** One is the other, or is in it. */
const isWithin = (one: string, other: string) => one === other || one === "" || other === "";

function described(
  { dir }: MigrationRequest,
  planned: readonly Moved[],
  isDry: boolean,
  swept: string[],
): MigratedVolumes {
  return {
    dir,
    dry_run: isDry,
    engines: planned.map(({ engine, path, volumes, notes, error }) => ({
      engine,
      path,
      state: isDry ? "planned" : error ? "failed" : "migrated",
      error: error && { code: error.code, message: error.message },
      volumes: volumes.map(({ volume, folder, compared }) => ({
        name: volume,
        path: join(path, folder),
        files: compared?.files ?? null,
        folders: compared?.folders ?? null,
        links: compared?.links ?? null,
        size_bytes: compared?.bytes ?? null,
        sha256: compared?.sha256 ?? null,
      })),
      notes,
    })),
    swept,
  };
}

type Row = MigratedVolumes["engines"][number]["volumes"][number] & { engine: EngineName; state: string };

/** Columns of `migrate-volumes`: engine, volume, path, state, files, size. */
const COLUMNS: readonly Column<Row>[] = [
  { header: "ENGINE", value: ({ engine }) => engine },
  { header: "VOLUME", value: ({ name }) => name },
  { header: "PATH", value: ({ path }) => path, flexible: true },
  {
    header: "STATE",
    value: ({ state }) => state,
    style: ({ state }) => (state === "failed" ? "red" : undefined),
  },
  { header: "FILES", value: ({ files }) => files, align: "right" },
  {
    header: "SIZE",
    value: ({ size_bytes: size }) => size,
    shown: ({ size_bytes: size }) => (size === null ? "–" : bytes(size)),
    align: "right",
  },
];

async function render(io: Io, { dir, engines, swept }: MigratedVolumes): Promise<void> {
  const rows = engines.flatMap(({ engine, state, volumes }) =>
    volumes.map((volume) => ({ ...volume, engine, state })),
  );
  await printTable(io, COLUMNS, rows);
  for (const { engine, notes } of engines) for (const note of notes) io.note(`${engine}: ${note}`);
  for (const name of swept) io.note(`${join(dir, name)}: left behind by a run that was killed, removed`);
}
