import { statSync } from "node:fs";
import { filesOf, type SqliteCheck } from "./look.ts";

/** Files that belong to somebody else than the file they go with, as after one run with sudo. */
export const owner: SqliteCheck = {
  id: "sqlite-owner",
  area: "sqlite",
  title: "a file beside the SQLite file belongs to another user",
  looks: "owners of the file, its -wal and -shm",
  async run(_call, { connection }) {
    const uid = ownerOf(connection.path);
    if (uid === undefined) return [];
    const others = filesOf(connection.path).filter((path) => (ownerOf(path) ?? uid) !== uid);
    return others.map((path) => ({
      severity: "warning",
      subject: path,
      evidence: `it belongs to user ${ownerOf(path)}, the SQLite file to user ${uid}`,
      cause:
        "Somebody else, often root, opened the database or copied it; its owner can then neither read nor write it.",
      remedies: [{ argv: ["chown", String(uid), path], safe: false }],
      advice: `chown needs root; run opsctl as user ${uid} from then on`,
    }));
  },
};

function ownerOf(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.uid;
}
