import { existsSync } from "node:fs";
import { join } from "node:path";
import { type EngineName, OpsError } from "../errors.ts";
import { packageRoot } from "../package.ts";
import { readFolder } from "./formats/folder.ts";
import type { Migration } from "./port.ts";

/**
 * The files of a shipped set, ordered by number, and their folder.
 * @throws OpsError `failed` when the package is incomplete
 */
export function shippedMigrations(
  engine: EngineName,
  set: string,
): { place: string; migrations: Migration[] } {
  const place = join(packageRoot(), "init", engine, set);
  if (!existsSync(place))
    throw new OpsError({
      code: "failed",
      message: `the shipped schema ${engine}/${set} is missing from this installation`,
      hint: "install opsctl again",
    });
  const { migrations } = readFolder(engine, place, "opsctl", place);
  return { place, migrations: migrations.map((migration) => ({ ...migration, set })) };
}
