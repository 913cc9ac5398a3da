import { tmpdir } from "node:os";
import type { Command } from "commander";
import type * as v from "valibot";
import { type Archive, findArchive, listArchives } from "../backup/archives.ts";
import type { VerifyLevel } from "../backup/verify-set.ts";
import { throwIfAborted } from "../call.ts";
import type { verifiedBackups } from "../contract/backup-verify.ts";
import { OpsError, toOpsError, usageError } from "../errors.ts";
import { bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import { archiveFolder, DIR } from "./backup-folder.ts";
import type { Context, Run } from "./command.ts";

type Verified = v.InferOutput<typeof verifiedBackups>;
type Row = Verified["backups"][number];

interface VerifyOptions {
  level: string;
  all?: boolean;
  dir?: string;
}

export function defineVerify(command: Command, run: Run): void {
  command
    .command("verify")
    .description("look whether archives are what they were when they were made")
    .argument(
      "[archives...]",
      "names, paths, or latest: the newest that is good (default: the newest of all)",
    )
    .option("--level <level>", "how closely: structure, checksums, parse", "checksums")
    .option("--all", "every archive of the folder")
    .option(...DIR)
    .addHelpText(
      "after",
      `
structure   the files are those that the metadata names, with their sizes
checksums   and every byte of them, and of the archive, has its SHA-256
parse       and every file is read by its engine's rules, without a server, and holds the counts of the metadata

What came out is recorded beside the archive. Damage: exit code 23. Encrypted archives: OPSCTL_BACKUP_IDENTITY (_FILE, _COMMAND)
opens them; without it only the digest of the whole archive is compared. Parsers write below TMPDIR where they must.

Examples:
  opsctl backup verify
  opsctl backup verify 20261121_030000 --level parse
  opsctl backup verify /mnt/copies/20261121_030000.tar.gz
  opsctl backup verify --all --json | jq '.backups[] | select(.ok | not)'`,
    )
    .action(run<VerifyOptions>(verify));
}

async function verify(context: Context, args: string[], options: VerifyOptions) {
  const level = levelOf(options.level);
  const folder = archiveFolder(context, options.dir);
  const archives = await chosen(folder, args, options.all === true);
  const rows: Row[] = [];
  for (const archive of archives) rows.push(await look(context, archive, level));
  const ok = rows.every((row) => row.ok);
  const data: Verified = { dir: folder, level, ok, backups: rows, count: rows.length };
  return { data, render: (io: Io) => render(io, data), failure: failureOf(rows) };
}

function levelOf(text: string): VerifyLevel {
  if (text === "structure" || text === "checksums" || text === "parse") return text;
  throw usageError(`--level: "${text}" is no level`, "use structure, checksums or parse");
}

/** @throws OpsError `not_found`, `usage` */
async function chosen(folder: string, names: readonly string[], isAll: boolean): Promise<Archive[]> {
  if (isAll && names.length > 0)
    throw usageError("--all and names of archives contradict each other", "leave one of them out");
  if (names.length > 0) return Promise.all(names.map((name) => findArchive(folder, name)));
  const archives = await listArchives(folder);
  if (archives.length > 0) return isAll ? archives : archives.slice(-1);
  throw new OpsError({
    code: "not_found",
    message: `${folder} holds no archive`,
    hint: "name a file, or a folder with --dir; opsctl backup makes an archive",
  });
}

/** One that cannot be looked at does not keep the others from it. */
async function look({ app, call }: Context, archive: Archive, level: VerifyLevel): Promise<Row> {
  const { verifyArchive } = await import("../backup/verify.ts");
  const { name, path, container, encrypted, size_bytes } = archive;
  const shared = { name, path, container, encrypted, size_bytes };
  const startedAt = performance.now();
  try {
    const {
      archive: _,
      level: __,
      ...found
    } = await verifyArchive(call, archive, level, {
      parsers: (engine) => app.backupParser(engine),
      scratchParent: tmpdir(),
      identity: app.config.text("OPSCTL_BACKUP_IDENTITY"),
      signingKey: app.config.text("OPSCTL_BACKUP_SIGNING_KEY"),
    });
    return { ...shared, ...found, error: null };
  } catch (error) {
    throwIfAborted(call);
    const { code, message, hint = null } = toOpsError(error);
    const duration_ms = Math.round(performance.now() - startedAt);
    const nothing = { ok: false, problems: [], files: [], parts: [], notes: [], duration_ms };
    return { ...shared, ...nothing, error: { code, message, hint } };
  }
}

/** Damage comes before what could not be looked at. */
function failureOf(rows: readonly Row[]): OpsError | undefined {
  const bad = rows.find(({ problems }) => problems.length > 0);
  if (bad) {
    const { path, message } = bad.problems[0]!;
    const others = rows.filter(({ ok }) => !ok).length - 1;
    return new OpsError({
      code: "integrity",
      message: `${bad.path} is damaged: ${path}: ${message}${others > 0 ? `; and ${others} more` : ""}`,
      hint: "opsctl backup list shows the other archives",
    });
  }
  const error = rows.find((row) => row.error)?.error;
  return error ? new OpsError({ ...error, hint: error.hint ?? "see --help" }) : undefined;
}

interface Line {
  row: Row;
  level: string;
  path: string | null;
  what: string;
}

/** Columns of `backup verify`: archive, level, ok or damaged or error, file, what is wrong or what was looked at. */
const COLUMNS: readonly Column<Line>[] = [
  { header: "ARCHIVE", value: ({ row }) => row.name },
  { header: "LEVEL", value: ({ level }) => level },
  {
    header: "RESULT",
    value: ({ row }) => (row.ok ? "ok" : row.error ? "error" : "damaged"),
    style: ({ row }) => (row.ok ? "green" : "red"),
  },
  { header: "FILE", value: ({ path }) => path },
  { header: "WHAT", value: ({ what }) => what, flexible: true },
];

/** A line for each archive that is fine, and for each problem of the others. */
async function render(io: Io, { level, backups }: Verified): Promise<void> {
  const lines = backups.flatMap((row): Line[] => {
    if (row.error) return [{ row, level, path: null, what: row.error.message }];
    if (row.ok) return [{ row, level, path: null, what: summary(row) }];
    return row.problems.map(({ path, message }) => ({ row, level, path, what: message }));
  });
  await printTable(io, COLUMNS, lines);
  for (const { name, notes } of backups) for (const note of notes) io.note(`${name}: ${note}`);
}

function summary({ files, parts, size_bytes, duration_ms }: Row): string {
  const compared = parts.reduce((sum, part) => sum + part.compared, 0);
  const counts = compared === 0 ? "" : `, ${compared} counts compared`;
  return `${files.length} files, ${bytes(size_bytes)}${counts}, ${(duration_ms / 1000).toFixed(1)} s`;
}
