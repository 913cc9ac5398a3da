import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { Found } from "../../../health/doctor/check.ts";
import { filesOf, type SqliteCheck } from "./look.ts";

const OTHERS = 0o077;
const WORLD_WRITABLE = 0o002;
/** In such a folder, /tmp for one, nobody removes or renames the files of others. */
const STICKY = 0o1000;

/** Who may read the incident memory besides its owner. */
export const mode: SqliteCheck = {
  id: "sqlite-mode",
  area: "sqlite",
  title: "others may read or replace the SQLite file",
  looks: "modes of the file, its -wal and -shm (0600), and of its folder",
  async run(_call, { connection }) {
    const open = filesOf(connection.path).filter((path) => ((modeOf(path) ?? 0) & OTHERS) !== 0);
    return [...open.map(fileFound), ...folderFindings(dirname(connection.path))];
  },
};

/** Undefined: there is no such file. */
function modeOf(path: string): number | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats && stats.mode & 0o7777;
}

function fileFound(path: string): Found {
  return {
    severity: "warning",
    subject: path,
    evidence: `mode ${octal(modeOf(path)!)} instead of 0600`,
    cause: "Other users of this host can read what is in it: commands, hosts and causes of incidents.",
    remedies: [{ argv: ["chmod", "600", path], safe: true }],
  };
}

function folderFindings(folder: string): Found[] {
  const bits = modeOf(folder) ?? 0;
  if ((bits & WORLD_WRITABLE) === 0 || (bits & STICKY) !== 0) return [];
  return [
    {
      severity: "warning",
      subject: folder,
      evidence: `mode ${octal(bits)}: everybody may write`,
      cause: "Every user of this host can put another file in the place of this one.",
      remedies: [{ argv: ["chmod", "o-w", folder], safe: true }],
    },
  ];
}

const octal = (bits: number) => bits.toString(8).padStart(4, "0");
