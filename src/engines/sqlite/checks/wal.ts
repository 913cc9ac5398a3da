import { bytes } from "../../../amounts.ts";
import { sizeOf } from "../file-facts.ts";
import { MAINTAIN, type SqliteCheck } from "./look.ts";

/** A log that grows. */
export const walGrowth: SqliteCheck = {
  id: "sqlite-wal",
  area: "sqlite",
  title: "the write-ahead log has grown",
  looks: "size of the -wal file against sqlite_wal",
  async run(_call, { connection, target, thresholds }) {
    const logBytes = sizeOf(`${connection.path}-wal`);
    if (logBytes <= thresholds.sqlite_wal) return [];
    return [
      {
        severity: "warning",
        subject: `${target.shown}-wal`,
        evidence: `${bytes(logBytes)}, the limit is ${bytes(thresholds.sqlite_wal)}; the file itself has ${bytes(sizeOf(connection.path))}`,
        cause:
          "One transaction wrote that much, or a reader kept an old state open so that no checkpoint could empty the log; reads become slower with it, and it fills the disk.",
        remedies: [{ argv: MAINTAIN, safe: true }],
        advice:
          "when it grows again, look for a process that reads for a long time: opsctl doctor sqlite-locked, fuser -v FILE",
      },
    ];
  },
};
