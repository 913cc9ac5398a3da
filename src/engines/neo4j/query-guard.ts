/** What a statement of an operator may not be, found before the server is asked. */
import { type OpsError, usageError } from "../../errors.ts";
import type { QueryOptions } from "../../query/port.ts";
import { isWord, type Part, partsOf } from "./cypher-kind.ts";
import { cypherTokens } from "./cypher-tokens.ts";
import { splitCypher } from "./statements.ts";

/**
 * Procedures that only look. Access mode READ does not hold back others, whatever mode SHOW PROCEDURES tells of them: `db.resampleIndex`,
 * `db.stats.collect` and the exports of APOC are of mode READ, `dbms.killConnection` of mode DBMS.
 */
const LOOKING =
  /^(db\.(labels|relationshiptypes|propertykeys|info|ping|awaitindex(es)?|schema\.\w+|index\.(fulltext|vector)\.(query|list)\w+|index\.fulltext\.awaiteventuallyconsistentindexrefresh|stats\.(retrieve\w*|status))|dbms\.(components|info|list\w+|queryjmx|showcurrentuser|upgradestatus|(cluster\.)?routing\.getroutingtable)|tx\.getmetadata)$/;

/**
 * The statement as it is sent: as written, so that the server's line and column are the operator's.
 * @throws OpsError `usage` for none, several, a command of cypher-shell, or what needs `write`
 */
export function checkedStatement(text: string, { write, explain }: QueryOptions): string {
  const [statement, second] = splitCypher(text);
  if (!statement) throw usageError("the statement is empty", 'write one, as in "MATCH (n) RETURN count(n)"');
  if (second) {
    throw usageError(
      "there are several statements, and query runs one",
      "run them one after another, or opsctl shell neo4j",
    );
  }
  if (statement.text.startsWith(":")) {
    throw usageError("that is a command of cypher-shell, not Cypher", "opsctl shell neo4j");
  }
  const end = statement.offset + statement.text.length;
  if (explain && isWord(firstPart(statement.text), "PROFILE")) {
    throw usageError("PROFILE runs the statement, and --explain must not", "leave one of them out");
  }
  if (!write && !explain) refuseActing(statement.text);
  return text.slice(0, end);
}

/** @param why without its full stop */
export function needsWrite(why: string): OpsError {
  return usageError(`Neo4j: ${why}`, "add --write when that is meant");
}

function firstPart(statement: string): Part | undefined {
  for (const token of cypherTokens(statement)) {
    if (token.kind === "space" || token.kind === "comment") continue;
    const text = statement.slice(token.start, token.end);
    return { ...token, text, word: token.kind === "word" ? text.toUpperCase() : null };
  }
  return undefined;
}

function refuseActing(statement: string): void {
  // the plan only: nothing runs
  if (isWord(firstPart(statement), "EXPLAIN")) return;
  const parts = partsOf(statement);
  const ends = parts.some(
    (part, at) => isWord(part, "TERMINATE") && isWord(parts[at + 1], "TRANSACTION", "TRANSACTIONS"),
  );
  if (ends) throw needsWrite("TERMINATE ends the work of others");
  const acting = parts.flatMap((part, at) => {
    const name = isWord(part, "CALL") ? procedureAt(parts, at + 1) : undefined;
    return name !== undefined && !LOOKING.test(name.toLowerCase()) ? [name] : [];
  })[0];
  if (acting !== undefined) throw needsWrite(`the procedure ${acting} may change something`);
}

/** `db.labels`, also written with backticks and spaces; undefined for a subquery. */
function procedureAt(parts: readonly Part[], from: number): string | undefined {
  const isName = (part: Part | undefined) => part?.kind === "word" || part?.kind === "name";
  if (!isName(parts[from])) return undefined;
  let end = from + 1;
  while (parts[end]?.text === "." && isName(parts[end + 1])) end += 2;
  return parts
    .slice(from, end)
    .map(({ kind, text }) => (kind === "name" ? text.slice(1, -1) : text))
    .join("");
}
