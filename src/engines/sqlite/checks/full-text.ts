import type { Found } from "../../../health/doctor/check.ts";
import { type SqliteCheck, write } from "./look.ts";

interface Counts {
  visible: number;
  /** Visible records without an entry. */
  missing: number;
  /** Entries of records that are forgotten or gone. */
  surplus: number;
  /** What ranking believes. */
  documents: number;
}

const VISIBLE = "SELECT row_id FROM memori_metadata WHERE deleted_at IS NULL";
/** FTS5 keeps one row of sizes for each entry (https://sqlite.org/fts5.html#fts5_data_structures). */
const COUNTS = `SELECT (SELECT count(*) FROM (${VISIBLE})) AS visible,
  (SELECT count(*) FROM (${VISIBLE} EXCEPT SELECT id FROM memori_index_docsize)) AS missing,
  (SELECT count(*) FROM (SELECT id FROM memori_index_docsize EXCEPT ${VISIBLE})) AS surplus,
  (SELECT documents FROM memori_statistics) AS documents`;

/** The index that recall searches, against the records. */
export const fullText: SqliteCheck = {
  id: "sqlite-full-text",
  area: "sqlite",
  title: "the full-text index does not fit the records",
  looks: "memori_index and memori_statistics against memori_metadata",
  async run(_call, { connection, target }) {
    const counts = connection.read((database) => {
      const isThere = database
        .prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'memori_statistics'")
        .get();
      return isThere && database.prepare<[], Counts>(COUNTS).get();
    }) as Counts | undefined;
    return counts ? findings(target.shown, counts) : [];
  },
};

function findings(path: string, { visible, missing, surplus, documents }: Counts): Found[] {
  const common = { severity: "warning", subject: `${path}, memori_index` } as const;
  const found: Found[] = [];
  if (missing > 0) {
    found.push({
      ...common,
      evidence: `${missing} of ${visible} records have no entry`,
      cause: "Something other than opsctl wrote the records, or took entries away: recall never finds them.",
      remedies: [],
      advice:
        "write them anew: opsctl fixes export > fixes.ndjson, then OPSCTL_DB=NEW.db opsctl fixes import fixes.ndjson, and put the new file in the place of the old one",
    });
  }
  if (surplus > 0) {
    const deletion = `DELETE FROM memori_index WHERE rowid NOT IN (${VISIBLE})`;
    found.push({
      ...common,
      evidence: `${surplus} entries belong to no visible record`,
      cause:
        "Something other than opsctl took the records away: the entries make searches slower and ranks wrong.",
      remedies: [{ argv: write(deletion), safe: true }],
    });
  }
  if (documents !== visible) {
    const sums = "count(*), coalesce(sum(title_length), 0), coalesce(sum(body_length), 0)";
    const update = `UPDATE memori_statistics SET (documents, title_length, body_length) = (SELECT ${sums} FROM memori_metadata WHERE deleted_at IS NULL)`;
    found.push({
      ...common,
      subject: `${path}, memori_statistics`,
      evidence: `it counts ${documents} records, there are ${visible}`,
      cause: "Something other than opsctl changed records: recall ranks by wrong averages.",
      remedies: [{ argv: write(update), safe: true }],
    });
  }
  return found;
}
