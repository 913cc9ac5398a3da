import type { Found } from "../../../health/doctor/check.ts";
import { INDEX_VERSION } from "../../../memory/analyze.ts";
import { type IndexCounts, indexCounts, isNewer, isOutdated, isUnfinished } from "../full-text-index.ts";
import { MAINTAIN, type SqliteCheck } from "./look.ts";

/** The index that recall searches, against the records. */
export const fullText: SqliteCheck = {
  id: "sqlite-full-text",
  area: "sqlite",
  title: "the full-text index does not fit the records",
  looks: "memori_index and memori_statistics against memori_metadata",
  async run(_call, { connection, target }) {
    const counts = connection.read(indexCounts);
    if (!counts) return [];
    return isNewer(counts) ? [newer(target.shown, counts)] : findings(target.shown, counts);
  },
};

function newer(path: string, { version }: IndexCounts): Found {
  return {
    severity: "error",
    subject: `${path}, memori_index`,
    evidence: `the index has version ${version}, this opsctl knows versions up to ${INDEX_VERSION}`,
    cause: "A newer opsctl made it: this one refuses to search it and to write records.",
    remedies: [],
    advice: "upgrade opsctl on this host",
  };
}

/** One command mends all of it: entries, words and sums are made anew from the records. */
function findings(path: string, counts: IndexCounts): Found[] {
  const { visible, missing, surplus, documents, outdated, rebuilt } = counts;
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
  if (isUnfinished(counts)) {
    found.push({
      ...common,
      severity: "info",
      evidence: `a new index was begun: ${rebuilt ?? visible} of ${visible} records are in it`,
      cause:
        "opsctl maintain is making it, or was ended before it had: until it is done the file holds both.",
    });
  } else if (isOutdated(counts)) {
    found.push({
      ...common,
      severity: "info",
      evidence: `an older opsctl made the entries of ${outdated} of ${visible} records`,
      cause: "Recall finds them by their words, but not by the shape of their lines.",
    });
  }
  return found;
}
