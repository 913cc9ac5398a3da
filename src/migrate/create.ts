/**
 * `migrate new`: the empty files of the next version. Several processes may do this at once. Each claims a number by creating a file that
 * must not exist, lists the folder again, creates its files, and then looks whether the claim is still its own; if not, it takes its files
 * back. So a number is given once even when somebody removed the claim of a process that was stopped for long.
 */
import { randomUUID } from "node:crypto";
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type EngineName, OpsError, usageError } from "../errors.ts";
import { makeFolders } from "../folders.ts";
import { DBMATE_TEMPLATE } from "./formats/dbmate.ts";
import { readNames } from "./formats/folder.ts";
import { EXTENSIONS } from "./formats/format.ts";
import { recognise, separatorOf } from "./formats/recognise.ts";
import { slugOf } from "./formats/slug.ts";
import { numberingOf } from "./numbering.ts";
import type { Format } from "./port.ts";

const CLAIM = ".opsctl-new-";
/** A claim is held for milliseconds; an older one belongs to a process that was killed. */
const STALE_MS = 10_000;
/** Each failed attempt is another process that got a number. */
const ATTEMPTS = 200;

export interface Created {
  format: Format;
  version: string;
  /** Below the folder as the user wrote it. */
  files: string[];
}

/**
 * Creates the files of the next version, and the folder when it is missing. They are empty (dbmate: two markers), so that `up` refuses one
 * that was forgotten.
 * @param shown the folder as the user wrote it
 * @param description words for the file name
 * @throws OpsError `usage` for a description without a letter or digit and for a folder that cannot be read as migrations, `failed` when
 * it cannot be written
 */
export async function createMigration(
  engine: EngineName,
  path: string,
  shown: string,
  format: Format | "auto",
  description: string,
  now: Date,
): Promise<Created> {
  if (slugOf(description, "-") === "") {
    throw usageError(
      `the description "${description}" has no letter a file name could have`,
      "describe the change in a few words, for example: create users",
    );
  }
  // a format that the engine does not have is refused before there is a folder
  recognise({ engine, path, shown, files: [], folders: [] }, format);
  writing(shown, () => makeFolders(path));
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const created = attemptOnce(engine, path, shown, format, description, now);
    if (created) return created;
  }
  throw new OpsError({
    code: "locked",
    message: `${shown}: other processes took every number that was tried`,
    hint: "try again",
  });
}

/** Null: another process was faster. */
function attemptOnce(
  engine: EngineName,
  path: string,
  shown: string,
  format: Format | "auto",
  description: string,
  now: Date,
): Created | null {
  const { reader, named } = readNames(engine, path, format, shown);
  const numbering = numberingOf(reader.format, engine, named, now);
  const seq = numbering.next(Math.max(0, ...named.map((one) => one.seq), ...readClaims(path)));
  const claim = join(path, `${CLAIM}${seq}`);
  const token = randomUUID();
  if (!writing(shown, () => createFile(claim, token))) return null;
  try {
    // whoever had the number may have created its files and gone since the folder was read
    if (readNames(engine, path, format, shown).named.some((one) => one.seq === seq)) return null;
    const slug = slugOf(description, separatorOf(reader.format));
    const names = (["up", "down"] as const).map((direction) =>
      reader.nameOf(numbering.versionOf(seq), slug, direction, EXTENSIONS[engine]),
    );
    const { version } = reader.parse(names[0]!)!;
    const files = createFiles(path, shown, reader.format, names);
    if (contentOf(claim) === token) {
      return { format: reader.format, version, files: files.map((file) => join(shown, file)) };
    }
    removeFiles(path, files);
    return null;
  } finally {
    // the claim of another process would only make that process try again
    if (contentOf(claim) === token) rmSync(claim, { force: true });
  }
}

/** Numbers that processes are creating files for; claims that were left behind are removed. */
function readClaims(path: string): number[] {
  const claims = readdirSync(path).filter((name) => name.startsWith(CLAIM));
  return claims.flatMap((name) => {
    const claim = join(path, name);
    const stats = lstatSync(claim, { throwIfNoEntry: false });
    if (stats && Date.now() - stats.mtimeMs > STALE_MS) rmSync(claim, { force: true });
    const seq = Number(name.slice(CLAIM.length));
    return stats && Number.isSafeInteger(seq) ? [seq] : [];
  });
}

/** @returns their names below the folder */
function createFiles(path: string, shown: string, format: Format, names: readonly string[]): string[] {
  const [up, down] = names as [string, string];
  const isFolder = format === "diesel";
  const texts: [string, string][] =
    format === "dbmate"
      ? [[up, DBMATE_TEMPLATE]]
      : (isFolder ? [join(up, "up.sql"), join(up, "down.sql")] : [up, down]).map((file) => [file, ""]);
  const made: string[] = [];
  try {
    if (isFolder) writing(shown, () => mkdirSync(join(path, up)));
    for (const [file, text] of texts) {
      const isNew = writing(shown, () => createFile(join(path, file), text));
      if (!isNew) throw usageError(`${join(shown, file)} exists`, "choose another description");
      made.push(file);
    }
  } catch (error) {
    removeFiles(path, made);
    throw error;
  }
  return made;
}

/** Files that this process has just created, and the folder around them (diesel). */
function removeFiles(path: string, files: readonly string[]): void {
  for (const file of files) rmSync(join(path, file), { force: true });
  const [folder, ...inside] = files[0]?.split("/") ?? [];
  if (folder !== undefined && inside.length > 0) rmdirSync(join(path, folder));
}

/** False: there is one of this name. */
function createFile(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Undefined: it is gone. */
function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function writing<T>(shown: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" || code === "ENOTDIR") {
      throw usageError(`${shown} cannot be a folder: a file is in the way`, "--dir names another folder");
    }
    throw new OpsError({
      code: "failed",
      message: `${shown} cannot be written${code === "" ? "" : ` (${code})`}`,
      hint: "see whether this user may write there and the disk has room",
      cause: error,
    });
  }
}
