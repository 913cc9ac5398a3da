/** The parts that a backup, or a look at what is there, is made of. */
import type { BackupPart } from "../backup/port.ts";
import { usageError } from "../errors.ts";
import {
  type CreateOptions,
  DEFAULTS,
  type Destination,
  enginesOf,
  partOptions,
  sqliteFiles,
} from "./backup-request.ts";
import type { Context } from "./command.ts";

/** @throws OpsError `usage` when a single file would have to hold several parts */
export async function partsOf(
  context: Context,
  options: CreateOptions,
  engines: readonly BackupPart["engine"][],
  { kind }: Pick<Destination, "kind">,
): Promise<BackupPart[]> {
  const { app, call } = context;
  const isSingle = kind !== undefined;
  const files = sqliteFiles(context, options.sqlite, isSingle);
  const backupOptions = partOptions(context, options);
  // the way of a single file follows from its ending
  if (kind === "neo4j-cypher") backupOptions.neo4j.method = "cypher";
  if (isSingle) backupOptions.databases = [];
  const listed: BackupPart[] = [];
  for (const engine of engines) {
    const named = files.length > 0 ? files : [app.dataFile];
    listed.push(...(await app.backupParts(call, engine, backupOptions, named)));
  }
  const parts = kind?.startsWith("postgres") ? listed.filter(({ name }) => name !== "globals") : listed;
  if (!isSingle || parts.length === 1) return parts;
  throw usageError(
    `--output: a single file cannot hold ${parts.map(({ name }) => name).join(" and ")}`,
    "name one file with --sqlite, or end --output with .tar.gz",
  );
}

/** Those of a backup without any flags. */
export function allParts(context: Context): Promise<BackupPart[]> {
  const files = sqliteFiles(context, undefined, false);
  return partsOf(context, DEFAULTS, enginesOf(context, [], { all: files, named: false }), {
    kind: undefined,
  });
}

/** Which engines have a connection for backups alone, and by which setting. */
export function ownSettings({ app }: Context): Partial<Record<BackupPart["engine"], string>> {
  const settings = {
    neo4j: "BACKUP_NEO4J_URI",
    postgres: "BACKUP_DATABASE_URL",
    redis: "BACKUP_REDIS_URL",
  } as const;
  return Object.fromEntries(Object.entries(settings).filter(([, setting]) => app.config.text(setting)));
}
