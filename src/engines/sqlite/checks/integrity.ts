import type { Call } from "../../../call.ts";
import { OpsError } from "../../../errors.ts";
import type { Found } from "../../../health/doctor/check.ts";
import { readThrough, type SqliteCheck, type SqliteScope, short, write } from "./look.ts";

/** Findings about an index alone: it is made anew from its table. */
const OF_INDEX =
  /^(row \d+ missing from index |wrong # of entries in index |non-unique entry in index )(.+)$/;
/** The first finding and the number of them say enough. */
const FINDINGS = 100;

/** Pages, rows and indexes that do not fit together. */
export const integrity: SqliteCheck = {
  id: "sqlite-integrity",
  area: "sqlite",
  title: "the SQLite file is damaged",
  looks: "PRAGMA integrity_check",
  async run(call, scope) {
    const findings = await findingsOf(call, scope);
    const [first] = findings;
    if (first === undefined) return [];
    const isIndexOnly = findings.every((text) => OF_INDEX.test(text));
    return [isIndexOnly ? indexFound(scope.target.shown, findings) : fileFound(scope.target.shown, findings)];
  },
};

/** What SQLite finds, or what it stumbled over while it looked. */
async function findingsOf(call: Call, scope: SqliteScope): Promise<string[]> {
  try {
    const rows = await readThrough(call, scope, `PRAGMA integrity_check(${FINDINGS})`);
    return rows.map(([text]) => String(text)).filter((text) => text !== "ok");
  } catch (error) {
    if (error instanceof OpsError && error.code === "integrity") return [error.message];
    throw error;
  }
}

function indexFound(path: string, findings: readonly string[]): Found {
  const names = [...new Set(findings.map((text) => OF_INDEX.exec(text)![2]!))];
  return {
    severity: "error",
    subject: `${path}, index ${names.join(", ")}`,
    evidence: `${many(findings)}; the first: ${short(findings[0]!)}`,
    cause: "An index does not have what its table has, so queries miss rows or find rows that are gone.",
    remedies: [{ argv: write("REINDEX"), safe: true }],
  };
}

function fileFound(path: string, findings: readonly string[]): Found {
  return {
    severity: "error",
    subject: path,
    evidence: `${many(findings)}; the first: ${short(findings[0]!)}`,
    cause:
      "Pages of the file do not fit together: a disk or a copy went wrong, and what is read from there may be wrong or fail.",
    remedies: [],
    advice: `keep a copy of the file, then restore the newest good archive (opsctl restore latest --only sqlite), or save what can be read: sqlite3 ${path} .recover`,
  };
}

function many(findings: readonly string[]): string {
  if (findings.length === 1) return "1 finding";
  return findings.length < FINDINGS ? `${findings.length} findings` : `${FINDINGS} findings or more`;
}
