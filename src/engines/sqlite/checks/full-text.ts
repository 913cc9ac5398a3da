import type { Found } from "../../../health/doctor/check.ts";
import { type IndexCounts, indexCounts } from "../full-text-index.ts";
import { MAINTAIN, type SqliteCheck } from "./look.ts";

/** The index that recall searches, against the records. */
export const fullText: SqliteCheck = {
  id: "sqlite-full-text",
  area: "sqlite",
  title: "the full-text index does not fit the records",
  looks: "memori_index and memori_statistics against memori_metadata",
  async run(_call, { connection, target }) {
    const counts = connection.read(indexCounts);
    return counts ? findings(target.shown, counts) : [];
  },
};

/** One command mends all of it: the index, its words and its sums are made anew from the records. */
function findings(path: string, { visible, missing, surplus, documents }: IndexCounts): Found[] {
  const common = {
    severity: "warning",
    subject: `${path}, memori_index`,
    remedies: [{ argv: MAINTAIN, safe: true }],
  } as const;
  const found: Found[] = [];
  if (missing > 0) {
    found.push({
      ...common,
      evidence: `${missing} of ${visible} records have no entry`,
      cause: "Something other than opsctl wrote the records, or took entries away: recall never finds them.",
    });
  }
  if (surplus > 0) {
    found.push({
      ...common,
      evidence: `${surplus} entries belong to no visible record`,
      cause:
        "Something other than opsctl took the records away: the entries make searches slower and ranks wrong.",
    });
  }
  if (documents !== visible) {
    found.push({
      ...common,
      subject: `${path}, memori_statistics`,
      evidence: `it counts ${documents} records, there are ${visible}`,
      cause: "Something other than opsctl changed records: recall ranks by wrong averages.",
    });
  }
  return found;
}
