/** What a restore calls the databases that it makes beside the live one, and names in statements. */
import { usageError } from "../../errors.ts";
import { sha256 } from "../../hash.ts";

/** PostgreSQL cuts longer names without a word. */
const MAX_NAME_BYTES = 63;
/** Of the digest that stands for the rest of a name that was too long: two databases may begin alike. */
const DIGEST_CHARS = 6;

/** `new`: what is loaded. `old`: what the live data were before. `drill`: what is loaded to look at it. */
export type Beside = "new" | "old" | "drill";

const MARKS: Readonly<Record<Beside, string>> = { new: "", old: "old_", drill: "drill_" };

/** `app__opsctl_1a2b3c4d`, `app__opsctl_old_1a2b3c4d`, `app__opsctl_drill_1a2b3c4d`. */
export function besideName(database: string, id: string, beside: Beside): string {
  const suffix = `__opsctl_${MARKS[beside]}${id}`;
  const room = MAX_NAME_BYTES - suffix.length;
  if (Buffer.byteLength(database) <= room) return database + suffix;
  const digest = `~${sha256(database).slice(0, DIGEST_CHARS)}`;
  return cut(database, room - digest.length) + digest + suffix;
}

/** As a pattern for PostgreSQL: every database that a drill made; the first group is the drill's id. */
export const DRILL_NAMES = "__opsctl_drill_([0-9a-f]{8})$";

/** At most so many bytes, whole characters. */
function cut(text: string, bytes: number): string {
  let length = 0;
  let kept = "";
  for (const char of text) {
    length += Buffer.byteLength(char);
    if (length > bytes) break;
    kept += char;
  }
  return kept;
}

/** The database that a part's name stands for: one that is called like the globals is in quotes there. */
export function databaseOf(partName: string): string {
  return /^".+"$/s.test(partName) ? partName.slice(1, -1) : partName;
}

/** Databases that a server and its tools need: they are connected to, and copied, whenever another one is made. */
const MAINTENANCE: ReadonlySet<string> = new Set(["postgres", "template0", "template1"]);

/** @throws OpsError `usage` for a database that is not replaced */
export function requireOrdinary(database: string): void {
  if (!MAINTENANCE.has(database)) return;
  throw usageError(
    `the database "${database}" belongs to the server itself, and is not replaced`,
    "restore into another one: --target-db NAME",
  );
}

/** @throws OpsError `usage` */
export function requireName(partName: string): void {
  const name = databaseOf(partName);
  if (name !== "" && !name.includes("\0") && Buffer.byteLength(name) <= MAX_NAME_BYTES) return;
  throw usageError(
    `"${name}" cannot be the name of a PostgreSQL database`,
    `use one of 1 to ${MAX_NAME_BYTES} bytes`,
  );
}
