import { accessSync, constants, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Found } from "../../../health/doctor/check.ts";
import type { SqliteCheck } from "./look.ts";

/** A file that can be read and not written. */
export const readOnly: SqliteCheck = {
  id: "sqlite-read-only",
  area: "sqlite",
  title: "the SQLite file or its folder is read-only",
  looks: "access of this user to the file and its folder; the mode of its owner",
  async run(_call, { connection }) {
    return [found(connection.path, 0o200, "u+w"), found(dirname(connection.path), 0o300, "u+wx")].flat();
  },
};

/** @param needed bits of the owner: root may write without, the owner who comes next may not */
function found(path: string, needed: number, grant: string): Found[] {
  const bits = statSync(path).mode & 0o7777;
  const isAllowed = mayWrite(path);
  const isLikeThat = (bits & needed) !== needed;
  if (isAllowed && !isLikeThat) return [];
  return [
    {
      severity: isAllowed ? "warning" : "error",
      subject: path,
      evidence: isLikeThat
        ? `mode ${bits.toString(8).padStart(4, "0")}: its owner may not write`
        : "this user may not write",
      cause: "Nothing can be recorded: SQLite writes the file, and in its folder the log that goes with it.",
      remedies: isLikeThat ? [{ argv: ["chmod", grant, path], safe: true }] : [],
      ...(isLikeThat
        ? {}
        : {
            advice:
              "run opsctl as the user who owns it, or make the file system writable (mount -o remount,rw)",
          }),
    },
  ];
}

function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
