import type { EngineName } from "../../errors.ts";
import { usageError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";
import type { Direction, Format, Migration, Script } from "../port.ts";
import { headerOf } from "./header.ts";
import { readText } from "./list.ts";

/** A folder of migrations as it lies on the disk. */
export interface Folder {
  engine: EngineName;
  /** Absolute. */
  path: string;
  /** As the user wrote it, for messages. */
  shown: string;
  /** Names of files (not those of folders), sorted; without what `list.ts` ignores. */
  files: readonly string[];
  /** Names of folders, sorted. */
  folders: readonly string[];
}

/** What a name says: of a file, or of a folder that holds the files of one version. */
export interface Named {
  name: string;
  version: string;
  /** May be no safe integer: whoever reads the folder refuses that. */
  seq: number;
  description: string;
  /** `both`: the file or folder holds both directions. */
  direction: Direction | "both";
  extension: string;
}

/** A version of a folder; which set it belongs to is the caller's to say. */
export type FileMigration = Omit<Migration, "set">;

/** One layout of a folder of migrations. */
export interface FormatReader {
  readonly format: Format;
  /** What carries the version: files, or folders with files of fixed names. */
  readonly unit: "file" | "folder";
  /** The tool knows SQL databases only. */
  readonly sqlOnly: boolean;
  /** Null: not a name of this layout. @throws OpsError `usage` for one that is, and is impossible (a 31st of June) */
  parse(name: string): Named | null;
  /** Names that lie beside migrations of this tool and are none. */
  ignores?(name: string): boolean;
  /** The name that carries a version; the inverse of `parse`. */
  nameOf(version: string, description: string, direction: Direction, extension: string): string;
  /**
   * Its migrations, in any order; `folder.ts` sorts them.
   * @throws OpsError `usage` for two files of one version, a part that is missing, text that is no text
   */
  read(folder: Folder, named: readonly Named[]): FileMigration[];
}

/** Extension of an engine's files. */
export const EXTENSIONS: Readonly<Record<EngineName, string>> = {
  neo4j: "cypher",
  postgres: "sql",
  redis: "redis",
  sqlite: "sql",
};

/** Without BOM and with LF line ends: an editor or a checkout that changed only those has changed nothing. */
export function normalizeText(text: string): string {
  return text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
}

/**
 * A script whose text stands in a file from line `firstLine` (0-based) on. The lines before it are blank in the text and no part of the
 * checksum.
 * @param inTransaction what the layout says; `opsctl: no-transaction` in the text's first comments has the same effect in every layout
 */
export function scriptOf(
  { engine, shown }: Folder,
  file: string,
  body: string,
  inTransaction = true,
  firstLine = 0,
): Script {
  const header = headerOf(`${shown}/${file}`, body, EXTENSIONS[engine], firstLine);
  return {
    file,
    text: "\n".repeat(firstLine) + body,
    checksum: `sha256:${sha256(body)}`,
    inTransaction: inTransaction && !header.noTransaction,
  };
}

/** The script that is a whole file. */
export function readScript(folder: Folder, file: string, inTransaction = true): Script {
  return scriptOf(folder, file, normalizeText(readText(folder, file)), inTransaction);
}

/** Two names of one version. */
export function sameVersion({ shown }: Pick<Folder, "shown">, first: string, second: string): Error {
  return usageError(
    `${shown}: ${first} and ${second} have the same version`,
    "give the newer one the next free version; `opsctl migrate new` finds it",
  );
}
