import { bytes } from "../../../amounts.ts";
import { fileFacts, freePercent } from "../file-facts.ts";
import { MAINTAIN, type SqliteCheck } from "./look.ts";

/** A file that is larger than what it holds. */
export const freePages: SqliteCheck = {
  id: "sqlite-free-pages",
  area: "sqlite",
  title: "VACUUM would make the file smaller",
  looks: "PRAGMA freelist_count against sqlite_free, of files from large on",
  async run(_call, { connection, target, thresholds }) {
    const facts = connection.read(fileFacts);
    const [size, free] = [facts.pages, facts.freePages].map((pages) => pages * facts.pageSize) as [
      number,
      number,
    ];
    if (size < thresholds.large || freePercent(facts) < thresholds.sqlite_free) return [];
    return [
      {
        severity: "info",
        subject: target.shown,
        evidence: `${freePercent(facts).toFixed(0)} % of its pages are free: ${bytes(free)} of ${bytes(size)}`,
        cause: "Rows were deleted; SQLite keeps their pages for later rows and gives none back by itself.",
        remedies: [{ argv: MAINTAIN, safe: true }],
      },
    ];
  },
};
