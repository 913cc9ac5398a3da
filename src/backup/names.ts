import { lstat } from "node:fs/promises";
import { join, parse } from "node:path";
import { usageError } from "../errors.ts";
import type { Container } from "./metadata.ts";

/** Characters of a name that somebody chooses; it is a file name on every system. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;
/** What `findArchive` understands otherwise. */
const RESERVED = new Set(["latest", "live"]);

/** `20261121_030000`, UTC: local times come twice in autumn. */
export function nameOf(at: Date): string {
  return at.toISOString().slice(0, 19).replace("T", "_").replace(/[-:]/g, "");
}

/** The archive's file name. */
export function archiveFile(name: string, container: Container, isEncrypted: boolean): string {
  const ending = container === "dir" || container === "file" ? "" : `.${container}`;
  return `${name}${ending}${isEncrypted ? ".age" : ""}`;
}

/**
 * A name that no archive of the folder has: the one that was chosen, or the time, with `_2` and so on within one second. Under the folder's lock.
 * @throws OpsError `usage` for a chosen name that is none, or is taken
 */
export async function freeName(folder: string, chosen: string | undefined, now: Date): Promise<string> {
  if (chosen === undefined) {
    const base = nameOf(now);
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? base : `${base}_${number}`;
      if (!(await isTaken(folder, name))) return name;
    }
  }
  requireName(chosen);
  if (!(await isTaken(folder, chosen))) return chosen;
  throw usageError(
    `the name ${chosen} is taken in ${folder}`,
    "choose another one, or let the time be the name",
  );
}

/** @throws OpsError `usage` */
export function requireName(name: string): void {
  if (NAME.test(name) && !RESERVED.has(name) && !/\.(json|age|gz|zst|tar)$/.test(name)) return;
  throw usageError(
    `--name: "${name}" is no name of an archive`,
    "use 1 to 100 letters, digits, dots, dashes and underscores, beginning with a letter or digit, without an ending such as .tar.gz; not: latest, live",
  );
}

/** Names of files in a set, in their order: the base name, and `app_2.db` for a second `app.db`. */
export function partNames(paths: readonly string[]): string[] {
  const taken = new Set<string>();
  return paths.map((path) => {
    const { name, ext } = parse(path);
    let free = name + ext;
    for (let number = 2; taken.has(free); number += 1) free = `${name}_${number}${ext}`;
    taken.add(free);
    return free;
  });
}

/** Whatever the container: two archives of one name would share a sidecar. */
async function isTaken(folder: string, name: string): Promise<boolean> {
  const files = ["", ".json", ".tar.gz", ".tar.zst", ".tar.gz.age", ".tar.zst.age"];
  const found = await Promise.all(
    files.map((ending) => lstat(join(folder, name + ending)).catch(() => undefined)),
  );
  return found.some((stats) => stats !== undefined);
}
