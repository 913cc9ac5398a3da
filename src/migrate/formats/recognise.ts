/** Which layout a folder has, by the names in it. */
import { type OpsError, usageError } from "../../errors.ts";
import type { Format } from "../port.ts";
import { dbmateFormat } from "./dbmate.ts";
import { dieselFormat } from "./diesel.ts";
import { EXTENSIONS, type Folder, type FormatReader, type Named } from "./format.ts";
import { golangMigrateFormat } from "./golang-migrate.ts";
import { opsctlFormat } from "./opsctl.ts";
import { slugOf } from "./slug.ts";

/** The first that knows a name has it: dbmate would take nearly every one. */
const READERS: readonly FormatReader[] = [opsctlFormat, golangMigrateFormat, dbmateFormat, dieselFormat];

export function readerOf(format: Format): FormatReader {
  return READERS.find((reader) => reader.format === format)!;
}

/** A folder's layout and what its names say. */
export interface Recognised {
  reader: FormatReader;
  named: Named[];
}

/**
 * The layout of a folder; of an empty one opsctl's own, unless another is asked for.
 * @throws OpsError `usage` when it has another layout than the one asked for, several, none, or a name that does not belong to it
 */
export function recognise(folder: Folder, wanted: Format | "auto"): Recognised {
  const files = folder.files.map((name) => ({ name, unit: "file" }));
  const entries = [...files, ...folder.folders.map((name) => ({ name, unit: "folder" }))];
  const owned = entries.map(({ name, unit }) => {
    const reader = READERS.find((one) => one.unit === unit && one.parse(name) !== null);
    return { name, unit, reader };
  });
  const first = owned.find(({ reader }) => reader !== undefined);
  const reader = wanted === "auto" ? (first?.reader ?? opsctlFormat) : readerOf(wanted);
  const other = owned.find((one) => one.reader !== undefined && one.reader !== reader);
  if (other) {
    const own = owned.find((one) => one.reader === reader);
    throw own
      ? mixed(folder, reader, own.name, other.reader!, other.name)
      : unlike(folder, reader, other.reader!, other.name);
  }
  const strangers = owned.filter((one) => one.reader === undefined && !reader.ignores?.(one.name));
  if (wanted === "auto" && !first && strangers.length > 0) throw unknownLayout(folder, strangers[0]!.name);
  if (strangers.length > 0) throw unrecognised(folder, reader, strangers[0]!.name, strangers[0]!.unit);
  if (reader.sqlOnly && EXTENSIONS[folder.engine] !== "sql") {
    throw usageError(
      `${reader.format} is for SQL databases, not for ${folder.engine}`,
      "use --format opsctl or golang-migrate",
    );
  }
  const named = owned.filter((one) => one.reader !== undefined).map(({ name }) => reader.parse(name)!);
  for (const one of named) checkNamed(folder, reader, one);
  return { reader, named };
}

function checkNamed(folder: Folder, reader: FormatReader, { name, version, seq, extension }: Named): void {
  const expected = EXTENSIONS[folder.engine];
  if (extension !== expected) throw unrecognised(folder, reader, name, reader.unit);
  if (!Number.isSafeInteger(seq)) {
    throw usageError(
      `${folder.shown}/${name}: the version is too large`,
      `the largest is ${Number.MAX_SAFE_INTEGER}`,
    );
  }
  if (version === "0") {
    throw usageError(
      `${folder.shown}/${name}: version 0 stands for an empty database`,
      "write 00 for it: its number stays the same",
    );
  }
}

/** One name of each layout, for messages. */
function examplesOf(folder: Folder): string {
  const extension = EXTENSIONS[folder.engine];
  return READERS.filter(({ sqlOnly }) => !sqlOnly || extension === "sql")
    .map((reader) => `${reader.format}: ${exampleOf(reader, extension)}`)
    .join(" · ");
}

function exampleOf(reader: FormatReader, extension: string): string {
  const versions: Record<Format, string> = {
    opsctl: "V001",
    "golang-migrate": "000001",
    dbmate: "20240101120000",
    diesel: "2024-01-01-120000",
  };
  const name = reader.nameOf(
    versions[reader.format],
    slugOf("create users", separatorOf(reader.format)),
    "up",
    extension,
  );
  return reader.unit === "folder" ? `${name}/up.${extension}` : name;
}

/** Between the words of a name. */
export function separatorOf(format: Format): "-" | "_" {
  return format === "opsctl" ? "-" : "_";
}

function mixed(folder: Folder, a: FormatReader, nameA: string, b: FormatReader, nameB: string): OpsError {
  return usageError(
    `${folder.shown} mixes two layouts: ${nameA} (${a.format}) and ${nameB} (${b.format})`,
    "keep one layout in a folder",
  );
}

function unlike(folder: Folder, wanted: FormatReader, found: FormatReader, name: string): OpsError {
  return usageError(
    `${folder.shown} looks like ${found.format} (${name}), not like ${wanted.format}`,
    `use --format ${found.format}, or auto`,
  );
}

function unknownLayout(folder: Folder, name: string): OpsError {
  return usageError(
    `${folder.shown}: ${name} is no name of a migration in any layout`,
    `the layouts are ${examplesOf(folder)}`,
  );
}

function unrecognised(folder: Folder, reader: FormatReader, name: string, unit: string): OpsError {
  const shown = `${folder.shown}/${name}`;
  if (unit === "folder" && reader.unit === "file") {
    return usageError(
      `${shown} is a folder, where a file is expected`,
      "move it out of the folder of migrations",
    );
  }
  const extension = EXTENSIONS[folder.engine];
  const meant = suggestion(reader, name, extension);
  const example = `a name of ${reader.format} is ${exampleOf(reader, extension)}`;
  return usageError(
    `${shown}: not a name of a migration`,
    meant === undefined
      ? `${example}; move other files out of the folder`
      : `did you mean ${meant}? (${example})`,
  );
}

/** A name of the layout with the version, the words and the direction of a name that is not one; undefined without a version. */
function suggestion(reader: FormatReader, name: string, extension: string): string | undefined {
  const stem = name.replace(/\.(sql|cypher|cql|redis|txt)$/i, "");
  if (stem === name) return undefined;
  const dated =
    reader.format === "opsctl" ? /^(\d{4})-(\d\d?)-(\d\d?)(?:-(\d{1,3})(?=[-_. ]))?/.exec(stem) : null;
  const version = dated?.[0] ?? /^v?\d+/i.exec(stem)?.[0];
  if (version === undefined) return undefined;
  const rest = stem.slice(version.length);
  const direction = /(?:^|[-_. ])down$/i.test(rest) ? "down" : "up";
  const words =
    slugOf(rest.replace(/(^|[-_. ])(up|down)$/i, ""), separatorOf(reader.format)) || "description";
  const digits = version.replace(/^v/i, "");
  const [, year, month = "", day = "", number = "1"] = dated ?? [];
  const numbered = reader.format === "opsctl" ? `V${digits}` : digits;
  const mended = dated
    ? [year, month.padStart(2, "0"), day.padStart(2, "0"), number.padStart(3, "0")].join("-")
    : numbered;
  const meant = reader.nameOf(mended, words, direction, extension);
  return meant === name ? undefined : meant;
}
