import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { EngineName } from "../errors.ts";
import { packageRoot } from "../package.ts";
import { EXTENSIONS } from "./formats/format.ts";

/**
 * The query of `init/<engine>/<set>/verify.<extension>`: one statement without its `;`, which returns one row of named counts. Null: the
 * set has none (one that opsctl does not ship, or whose engine has no query language).
 */
export function verificationQuery(engine: EngineName, set: string): string | null {
  const path = join(packageRoot(), "init", engine, set, `verify.${EXTENSIONS[engine]}`);
  return existsSync(path) ? readFileSync(path, "utf8").replace(/;\s*$/, "") : null;
}
