/** Layouts with a file for each direction. */
import { usageError } from "../../errors.ts";
import { type FileMigration, type Folder, type Named, readScript, sameVersion } from "./format.ts";

/** @throws OpsError `usage` for two files of one version and direction, and for a `down` alone */
export function readPairs(folder: Folder, named: readonly Named[]): FileMigration[] {
  const pairs = new Map<number, { up?: Named; down?: Named }>();
  for (const one of named) {
    const pair = pairs.get(one.seq) ?? {};
    const direction = one.direction === "down" ? "down" : "up";
    const other = pair[direction];
    if (other) throw sameVersion(folder, other.name, one.name);
    pair[direction] = one;
    pairs.set(one.seq, pair);
  }
  return [...pairs.values()].map(({ up, down }) => {
    if (!up) {
      throw usageError(
        `${folder.shown}/${down!.name} rolls back a version whose other file is missing`,
        `write the file that applies ${down!.version}, or remove this one`,
      );
    }
    const { version, seq, description } = up;
    return {
      version,
      seq,
      description,
      up: readScript(folder, up.name),
      down: down ? readScript(folder, down.name) : null,
    };
  });
}
