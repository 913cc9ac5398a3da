import { fileFacts, wantsAnalyze } from "../file-facts.ts";
import { MAINTAIN, type SqliteCheck, short } from "./look.ts";

/** The planner guesses. */
export const plannerStatistics: SqliteCheck = {
  id: "sqlite-statistics",
  area: "sqlite",
  title: "statistics for the query planner are missing or old",
  looks: "PRAGMA optimize(0x10003), which only tells, of files from large on",
  async run(_call, { connection, target, thresholds }) {
    const { size, wanted } = connection.read((database) => {
      const { pages, pageSize } = fileFacts(database);
      return { size: pages * pageSize, wanted: wantsAnalyze(database) };
    });
    if (size < thresholds.large || wanted.length === 0) return [];
    return [
      {
        severity: "info",
        subject: target.shown,
        evidence: `${wanted.length} tables: ${short(wanted.join("; "))}`,
        cause: "Without them the planner guesses how many rows an index leaves, and may read a whole table.",
        remedies: [{ argv: MAINTAIN, safe: true }],
      },
    ];
  },
};
