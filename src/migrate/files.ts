import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type EngineName, OpsError } from "../errors.ts";
import { sha256 } from "../hash.ts";
import { packageRoot } from "../package.ts";
import type { Migration } from "./port.ts";

/** `V001-description-up.sql`; the direction is read first, so that a description may hold any word. */
const FILE_NAME = /^V(\d+)-(.+)-(up|down)\.(sql|cypher)$/;

/**
 * Reads the `up` files of a shipped set, ordered by number.
 * @throws OpsError `failed` when the package is incomplete or a file has no valid name
 */
export function shippedMigrations(engine: EngineName, set: string): Migration[] {
  const folder = join(packageRoot(), "init", engine, set);
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw new OpsError({
      code: "failed",
      message: `the shipped schema ${engine}/${set} is missing from this installation`,
      hint: "install opsctl again",
      cause: error,
    });
  }
  return names
    .map((file) => readMigration(folder, file, set))
    .filter((migration) => migration !== undefined)
    .sort((a, b) => a.seq - b.seq);
}

function readMigration(folder: string, file: string, set: string): Migration | undefined {
  const match = FILE_NAME.exec(file);
  if (!match)
    throw new OpsError({ code: "failed", message: `${join(folder, file)}: not a migration's file name` });
  const [, number, description, direction] = match;
  if (direction === "down") return undefined;
  const text = normalizeText(readFileSync(join(folder, file), "utf8"));
  return {
    set,
    version: `V${number}`,
    seq: Number(number),
    file,
    description: description!.replaceAll("-", " "),
    checksum: `sha256:${sha256(text)}`,
    text,
  };
}

/** Without BOM and with LF line ends: an editor or a checkout that changed only those has changed nothing. */
function normalizeText(text: string): string {
  return text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
}
