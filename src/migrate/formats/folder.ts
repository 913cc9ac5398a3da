import { type EngineName, usageError } from "../../errors.ts";
import type { Format } from "../port.ts";
import { EXTENSIONS, type FileMigration, type Folder, type FormatReader, sameVersion } from "./format.ts";
import { listFolder } from "./list.ts";
import { type Recognised, recognise } from "./recognise.ts";

/**
 * Reads a folder of migrations, by number.
 * @param format `auto`: whichever of the four layouts the names have; an empty folder has opsctl's
 * @param shown the path as the user wrote it, for messages
 * @throws OpsError `usage` naming what cannot be a folder of migrations: one that is not there, a name that does not belong to the layout,
 * two files of one version, a `down` alone, bytes that are no text; `failed` for what cannot be read
 */
export function readFolder(
  engine: EngineName,
  path: string,
  format: Format | "auto",
  shown: string,
): { format: Format; migrations: FileMigration[] } {
  const { folder, reader, named } = readNames(engine, path, format, shown);
  const migrations = reader.read(folder, named).sort((a, b) => a.seq - b.seq);
  for (const [index, migration] of migrations.entries()) {
    const before = migrations[index - 1];
    if (before?.seq === migration.seq) throw sameVersion(folder, before.up.file, migration.up.file);
  }
  refuseOtherOrder(folder, reader, migrations);
  return { format: reader.format, migrations };
}

/** What the names in a folder say; opens no file. @throws OpsError as `readFolder` */
export function readNames(
  engine: EngineName,
  path: string,
  format: Format | "auto",
  shown: string,
): Recognised & { folder: Folder } {
  const folder = listFolder(engine, path, shown, EXTENSIONS[engine]);
  return { folder, ...recognise(folder, format) };
}

/**
 * dbmate orders file names as texts and diesel versions: there `10_b` comes before `9_a`. Where that is not the order of the numbers, a
 * fresh database would be made in another order than the tool's.
 */
function refuseOtherOrder(
  folder: Folder,
  { format }: FormatReader,
  migrations: readonly FileMigration[],
): void {
  if (format !== "dbmate" && format !== "diesel") return;
  const keyOf = ({ version, up }: FileMigration) => (format === "dbmate" ? up.file : version);
  for (const [index, migration] of migrations.entries()) {
    const before = migrations[index - 1];
    if (before === undefined || keyOf(before) < keyOf(migration)) continue;
    throw usageError(
      `${folder.shown}: ${format} runs ${migration.up.file} before ${before.up.file}, opsctl would run it after`,
      "give all versions the same number of digits",
    );
  }
}
