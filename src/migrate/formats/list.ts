/** What lies in a folder of migrations, and what its files say. */
import { isUtf8 } from "node:buffer";
import { type Dirent, readdirSync, readFileSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { type EngineName, OpsError, usageError } from "../../errors.ts";
import type { Folder } from "./format.ts";

/** Control and format characters, line separators, what was no UTF-8: a name that cannot be shown as it is. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}\uFFFD]/u;

/**
 * Names of the files and folders in a folder. Hidden files, README and LICENSE are left out, and `verify.sql` (the check of a shipped set).
 * @throws OpsError `usage` for a folder that is not there or holds what cannot be a migration, `failed` when it cannot be read
 */
export function listFolder(engine: EngineName, path: string, shown: string, extension: string): Folder {
  const files: string[] = [];
  const folders: string[] = [];
  for (const entry of entriesOf(engine, path, shown)) {
    const { name } = entry;
    if (name.startsWith(".")) continue;
    if (UNPRINTABLE.test(name)) {
      throw usageError(`${shown}: the name ${JSON.stringify(name)} cannot be printed`, "rename the file");
    }
    const kind = kindOf(entry, path, shown);
    if (kind.isDirectory()) folders.push(name);
    else if (!kind.isFile()) throw usageError(`${shown}/${name} is neither a file nor a folder`, "remove it");
    else if (!/^(README|LICENSE)/i.test(name) && name !== `verify.${extension}`) files.push(name);
  }
  return { engine, path, shown, files: files.sort(), folders: folders.sort() };
}

function entriesOf(engine: EngineName, path: string, shown: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") {
      throw usageError(
        `there is no folder ${shown}`,
        `\`opsctl migrate new ${engine} DESCRIPTION\` makes it; --dir names another`,
      );
    }
    if (code === "ENOTDIR") throw usageError(`${shown} is a file`, "--dir names a folder");
    throw unreadable(shown, error);
  }
}

/** Links are followed. */
function kindOf(entry: Dirent, folder: string, shownFolder: string): Dirent | Stats {
  if (!entry.isSymbolicLink()) return entry;
  const shown = `${shownFolder}/${entry.name}`;
  try {
    return statSync(join(folder, entry.name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ELOOP")
      throw usageError(`${shown} is a link to nothing`, "mend the link or remove it");
    throw unreadable(shown, error);
  }
}

/**
 * The text of a file.
 * @throws OpsError `usage` for bytes that are no text, `failed` when it cannot be read
 */
export function readText({ path, shown }: Pick<Folder, "path" | "shown">, file: string): string {
  let bytes: Buffer;
  let text: string;
  try {
    bytes = readFileSync(`${path}/${file}`);
    text = bytes.toString("utf8");
  } catch (error) {
    throw unreadable(`${shown}/${file}`, error);
  }
  const nul = text.indexOf("\0");
  if (nul < 0 && isUtf8(bytes)) return text;
  const head = bytes.subarray(0, 2);
  const isUtf16 = head.includes(0) || /^(\xff\xfe|\xfe\xff)/.test(head.toString("latin1"));
  const line = text.slice(0, nul >= 0 ? nul : text.indexOf("\uFFFD")).split("\n").length;
  throw usageError(
    `${shown}/${file}:${line}: ${nul >= 0 ? "a NUL byte" : "bytes that are no UTF-8"}`,
    isUtf16 ? "save it as UTF-8; it looks like UTF-16" : "save it as UTF-8",
  );
}

function unreadable(shown: string, error: unknown): OpsError {
  const { code = "" } = error as NodeJS.ErrnoException;
  return new OpsError({
    code: "failed",
    message: `${shown} cannot be read${code === "" ? "" : ` (${code})`}`,
    hint:
      code === "EACCES" || code === "EPERM"
        ? "give this user the right to read it"
        : "see whether it is a usual file of text",
    cause: error,
  });
}
