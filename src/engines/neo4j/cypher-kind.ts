/** What a Cypher statement does, as far as transactions are concerned. Strings, names and comments cannot fool it. */
import { cypherTokens, type Token } from "./cypher-tokens.ts";

/**
 * `schema`: cannot share a transaction with data, nor with the history (25N01) · `autocommit`: opens transactions of its own and is refused
 * inside another · `data`: everything else, reading included.
 */
export type Kind = "schema" | "autocommit" | "data";

/** A statement that makes or drops an index or a constraint. */
export interface SchemaChange {
  verb: "create" | "drop";
  object: "index" | "constraint";
  /** Null: Neo4j makes one up. */
  name: string | null;
  /** IF [NOT] EXISTS: it can run any number of times. */
  isGuarded: boolean;
}

/** A token that counts, with its text. */
export interface Part extends Token {
  text: string;
  /** A word in capitals; null for everything else. */
  word: string | null;
}

const INDEX_TYPES = ["RANGE", "TEXT", "POINT", "VECTOR", "LOOKUP", "FULLTEXT", "BTREE"];
const QUERY_OPTIONS = ["EXPLAIN", "PROFILE"];

/** Procedures that change the schema: they cannot share a transaction with the history. */
const SCHEMA_PROCEDURE =
  /^(apoc\.schema\.|apoc\.cypher\.runschema|db\.index\.(vector|fulltext)\.(create|drop))/i;
/** Procedures that commit by themselves, batch by batch. */
const COMMITTING_PROCEDURE = /^apoc\.(periodic\.|cypher\.runfile)/i;

/** Tokens of a statement without space, comments and what stands before the query (EXPLAIN, PROFILE, CYPHER 5 name=value). */
export function partsOf(statement: string): Part[] {
  const parts: Part[] = [];
  for (const token of cypherTokens(statement)) {
    if (token.kind === "space" || token.kind === "comment") continue;
    const text = statement.slice(token.start, token.end);
    parts.push({ ...token, text, word: token.kind === "word" ? text.toUpperCase() : null });
  }
  return parts.slice(endOfOptions(parts));
}

function endOfOptions(parts: readonly Part[]): number {
  let at = 0;
  for (;;) {
    if (isWord(parts[at], ...QUERY_OPTIONS)) at += 1;
    else if (isWord(parts[at], "CYPHER")) {
      at += parts[at + 1]?.kind === "number" ? 2 : 1;
      while (parts[at + 1]?.text === "=") at += 3;
    } else return at;
  }
}

export function isWord(part: Part | undefined, ...words: string[]): boolean {
  return part !== undefined && part.word !== null && words.includes(part.word);
}

/**
 * Whether the statement begins with a command, which is no query: `CREATE USER …` is one, `CREATE (n)` and the path `CREATE user = ()-->()` are
 * not.
 */
export function isCreateCommand(parts: readonly Part[]): boolean {
  return isWord(parts[0], "CREATE") && parts[1]?.kind === "word" && parts[2]?.text !== "=";
}

export function kindOf(statement: string): Kind {
  const parts = partsOf(statement);
  if (schemaChangeOf(parts) || isGraphType(parts)) return "schema";
  const procedures = calledProcedures(parts);
  if (procedures.some((name) => SCHEMA_PROCEDURE.test(name))) return "schema";
  const commits = procedures.some((name) => COMMITTING_PROCEDURE.test(name));
  return commits || opensTransactions(parts) ? "autocommit" : "data";
}

export function schemaChange(statement: string): SchemaChange | undefined {
  return schemaChangeOf(partsOf(statement));
}

function schemaChangeOf(parts: readonly Part[]): SchemaChange | undefined {
  const isDrop = isWord(parts[0], "DROP");
  if (!isDrop && !isCreateCommand(parts)) return undefined;
  let at = 1;
  if (isWord(parts[at], "OR") && isWord(parts[at + 1], "REPLACE")) at += 2;
  if (isWord(parts[at], ...INDEX_TYPES)) at += 1;
  const object = parts[at];
  if (!isWord(object, "INDEX", "CONSTRAINT")) return undefined;
  return {
    verb: isDrop ? "drop" : "create",
    object: isWord(object, "INDEX") ? "index" : "constraint",
    name: nameOf(schemaName(parts, at + 1)),
    isGuarded: parts.some(
      (part, index) => isWord(part, "IF") && isWord(parts[index + (isDrop ? 1 : 2)], "EXISTS"),
    ),
  };
}

/** The part that is the name; undefined for `FOR (…`, `IF NOT …` and `ON …` without one. */
function schemaName(parts: readonly Part[], at: number): Part | undefined {
  const [part, next] = parts.slice(at, at + 2);
  if (isWord(part, "FOR", "ON") && !isWord(next, "FOR", "IF")) return undefined;
  if (isWord(part, "IF") && isWord(next, "NOT")) return undefined;
  return part?.kind === "word" || part?.kind === "name" ? part : undefined;
}

function nameOf(part: Part | undefined): string | null {
  if (!part) return null;
  return part.kind === "name" ? part.text.slice(1, -1).replaceAll("``", "`") : part.text;
}

/** ALTER CURRENT GRAPH TYPE of Cypher 25. */
function isGraphType(parts: readonly Part[]): boolean {
  return isWord(parts[0], "ALTER") && isWord(parts[1], "CURRENT") && isWord(parts[2], "GRAPH");
}

/** Names after CALL, `apoc.periodic.iterate`. */
function calledProcedures(parts: readonly Part[]): string[] {
  return parts.flatMap((part, index) => {
    if (!isWord(part, "CALL") || parts[index + 1]?.kind !== "word") return [];
    let end = index + 2;
    while (parts[end]?.text === "." && parts[end + 1]?.kind === "word") end += 2;
    return [
      parts
        .slice(index + 1, end)
        .map(({ text }) => text)
        .join(""),
    ];
  });
}

/** `CALL (…) { … } IN [n CONCURRENT] TRANSACTIONS`: after such a block IN means nothing else. */
function opensTransactions(parts: readonly Part[]): boolean {
  const blocks: boolean[] = [];
  return parts.some(({ text }, index) => {
    if (text === "{") blocks.push(isSubquery(parts, index));
    return text === "}" && blocks.pop() === true && isWord(parts[index + 1], "IN");
  });
}

/** Whether the `{` at this place follows CALL or CALL (…). */
function isSubquery(parts: readonly Part[], brace: number): boolean {
  let at = brace - 1;
  if (parts[at]?.text === ")") {
    while (at >= 0 && parts[at]!.text !== "(") at -= 1;
    at -= 1;
  }
  return isWord(parts[at], "CALL");
}
