import type { EngineName } from "../errors.ts";
import { shippedMigrations } from "./files.ts";
import { readFolder } from "./formats/folder.ts";
import type { Format, Migration } from "./port.ts";

/** The name of the set whose files are the user's own. */
export const USER_SET = "user";

/** The files of one set for one engine. */
export interface Source {
  engine: EngineName;
  set: string;
  /** For messages: `migrations/postgres`, `the set "memory"`. */
  title: string;
  /** The folder. */
  place: string;
  format: Format;
  /** By number. */
  migrations: readonly Migration[];
  /** Flags that name these files and their store again (`--dir db --database app.db`), for commands in hints. */
  flags?: string;
  /** Where they go, without secrets, for messages. */
  store?: string;
}

/** A set that opsctl ships. @throws OpsError `failed` when the installation is incomplete */
export function shippedSource(engine: EngineName, set: string): Source {
  const { place, migrations } = shippedMigrations(engine, set);
  const flags = `--set ${set}`;
  return { engine, set, title: `the set "${set}"`, place, format: "opsctl", migrations, flags };
}

/**
 * The user's folder.
 * @param shown the path as the user wrote it
 * @throws OpsError `usage` for a folder that is not there or whose files are no migrations, `failed` for what cannot be read
 */
export function folderSource(
  engine: EngineName,
  place: string,
  shown: string,
  wanted: Format | "auto",
): Source {
  const { format, migrations } = readFolder(engine, place, wanted, shown);
  const own = migrations.map((migration) => ({ ...migration, set: USER_SET }));
  return { engine, set: USER_SET, title: shown, place, format, migrations: own };
}
