/**
 * diesel: a folder a version, `2024-01-01-120000_create_users/up.sql` with `down.sql` and `metadata.toml`
 * (github.com/diesel-rs/diesel, diesel_migrations/migrations_internals/src/lib.rs; diesel_cli/src/migrations/mod.rs adds
 * four hexadecimal digits: `2024-01-01-120000-0000_create_users`).
 */
import { join } from "node:path";
import { usageError } from "../../errors.ts";
import {
  type FileMigration,
  type Folder,
  type FormatReader,
  type Named,
  normalizeText,
  readScript,
} from "./format.ts";
import { listFolder, readText } from "./list.ts";
import { wordsOf } from "./slug.ts";

/** diesel stores what stands before the first `_`, without the dashes. */
const NAME = /^([0-9][0-9a-f-]*)_(.*)$/;
const VERSION = /^(\d{1,14}|(\d{14})([0-9a-f]{4}))$/;
/** Migrations of one second that have numbers of their own: 14 digits times 256 are still a safe integer. */
export const DIESEL_PER_SECOND = 256;
const FILES = ["up.sql", "down.sql", "metadata.toml"];

export const dieselFormat: FormatReader = {
  format: "diesel",
  unit: "folder",
  sqlOnly: true,
  parse(name) {
    const [, raw = "", description = ""] = NAME.exec(name) ?? [];
    const version = raw.replaceAll("-", "");
    const match = VERSION.exec(version);
    if (!match) return null;
    const subversion = match[3] === undefined ? 0 : Number.parseInt(match[3], 16) + 1;
    const seq =
      subversion < DIESEL_PER_SECOND
        ? Number(match[2] ?? version) * DIESEL_PER_SECOND + subversion
        : Number.NaN;
    return { name, version, seq, description: wordsOf(description), direction: "both", extension: "sql" };
  },
  nameOf: (version, description) => `${version}_${description}`,
  read: (folder, named) => named.map((one) => readVersion(folder, one)),
};

function readVersion(folder: Folder, { name, version, seq, description }: Named): FileMigration {
  const shown = `${folder.shown}/${name}`;
  const { files, folders } = listFolder(folder.engine, join(folder.path, name), shown, "sql");
  const stranger = folders[0] ?? files.find((file) => !FILES.includes(file));
  if (stranger !== undefined) {
    throw usageError(
      `${shown}/${stranger} is no part of a diesel migration`,
      `its files are ${FILES.join(", ")}`,
    );
  }
  if (!files.includes("up.sql"))
    throw usageError(`${shown} has no file up.sql`, "write it, or remove the folder");
  const inTransaction =
    !files.includes("metadata.toml") || runsInTransaction(shown, readText(folder, `${name}/metadata.toml`));
  return {
    version,
    seq,
    description,
    up: readScript(folder, `${name}/up.sql`, inTransaction),
    down: files.includes("down.sql") ? readScript(folder, `${name}/down.sql`, inTransaction) : null,
  };
}

/**
 * The one key that matters, in lines before the first table.
 * @throws OpsError `usage` when the file does not say it: diesel then takes `false`, and its documentation says `true`
 */
function runsInTransaction(shown: string, text: string): boolean {
  const top = normalizeText(text).split(/^\s*\[/m)[0]!;
  const value = /^\s*"?run_in_transaction"?\s*=\s*(true|false)\s*(?:#.*)?$/m.exec(top)?.[1];
  if (value === undefined) {
    throw usageError(
      `${shown}/metadata.toml does not say run_in_transaction`,
      "write run_in_transaction = true, or false for statements that refuse a transaction",
    );
  }
  return value === "true";
}
