/** What must not run as part of a migration, found without asking the server. */
import { usageError } from "../../errors.ts";
import { placedMessage } from "../../migrate/excerpt.ts";
import type { Script } from "../../migrate/port.ts";
import { isCreateCommand, isWord, type Part, partsOf } from "./cypher-kind.ts";
import { cypherTokens, type Token } from "./cypher-tokens.ts";
import { splitCypher } from "./statements.ts";

interface Refusal {
  /** In the text that was looked at, UTF-16 units. */
  offset: number;
  what: string;
  hint: string;
}

const OPEN: Partial<Record<Token["kind"], string>> = {
  string: "a string that never ends",
  name: "a name in backticks that never ends",
  comment: "a comment that never ends",
};

/**
 * A Unicode escape of a character that Cypher reads: whether it ends a string, or is one of its characters, depends on Neo4j's version,
 * so nobody could say where a statement ends (Cypher 5 replaces escapes before it reads anything, comments included).
 */
const SYNTAX_ESCAPE = /(?<!\\)(?:\\\\)*(\\u00(?:0[ad]|2[27af]|3b|5c|60))/i;

const TRANSACTION_WORDS = ["BEGIN", "COMMIT", "ROLLBACK"];

/** First words of commands about users, roles, databases and servers (Cypher manual, "Administration"). */
const ADMIN_WORDS = [
  ...["ALTER", "DEALLOCATE", "DENY", "DROP", "DRYRUN", "ENABLE", "GRANT", "REALLOCATE", "RENAME", "REVOKE"],
  ...["START", "STOP", "TERMINATE"],
];
const ADMIN_SHOWS = [
  ...["ALIAS", "ALIASES", "DATABASE", "DATABASES", "PRIVILEGE", "PRIVILEGES", "ROLE", "ROLES"],
  ...["SERVER", "SERVERS", "USERS"],
];

/** @throws OpsError `usage` naming file, line and column */
export function checkCypher({ file, text }: Script): void {
  const refusal = inText(text) ?? inStatements(text);
  if (refusal) throw usageError(placedMessage(file, text, refusal.offset, refusal.what), refusal.hint);
}

function inText(text: string): Refusal | undefined {
  const found = SYNTAX_ESCAPE.exec(text);
  if (found) {
    const what = `${found[1]} is read differently by different versions of Neo4j`;
    const offset = found.index + found[0].length - found[1]!.length;
    return { offset, what, hint: "write the character itself, in a string after a backslash" };
  }
  for (const { kind, start, isClosed } of cypherTokens(text)) {
    if (!isClosed) return { offset: start, what: OPEN[kind]!, hint: "close it" };
  }
  return undefined;
}

function inStatements(text: string): Refusal | undefined {
  for (const { text: statement, offset } of splitCypher(text)) {
    const parts = partsOf(statement);
    const refusal = inStatement(parts);
    if (refusal) return { ...refusal, offset: offset + refusal.offset };
  }
  return undefined;
}

function inStatement(parts: readonly Part[]): Refusal | undefined {
  return (
    clientCommand(parts) ??
    transactionControl(parts) ??
    graphChoice(parts) ??
    administration(parts) ??
    parameter(parts)
  );
}

function clientCommand([first, second]: readonly Part[]): Refusal | undefined {
  if (first?.text !== ":") return undefined;
  const name = `:${second?.text ?? ""}`;
  return {
    offset: first.start,
    what: `${name} is a command of cypher-shell, not Cypher`,
    hint: HINTS.get(name.toLowerCase()) ?? "leave it out",
  };
}

const NO_TRANSACTIONS =
  "leave it out: statements on data that follow one another are one transaction, together with their record";
const HINTS: ReadonlyMap<string, string> = new Map([
  [":begin", NO_TRANSACTIONS],
  [":commit", NO_TRANSACTIONS],
  [":rollback", NO_TRANSACTIONS],
  [":param", "write the value into the statement"],
  [":params", "write the value into the statement"],
  [":use", "set NEO4J_DATABASE instead"],
]);

function transactionControl(parts: readonly Part[]): Refusal | undefined {
  const [first, second] = parts;
  if (isWord(first, "USING") && isWord(second, "PERIODIC")) {
    const what = "USING PERIODIC COMMIT is gone since Neo4j 5";
    return { offset: first!.start, what, hint: "write CALL (row) { … } IN TRANSACTIONS" };
  }
  if (!isWord(first, ...TRANSACTION_WORDS)) return undefined;
  return { offset: first!.start, what: `${first!.word} is not Cypher`, hint: NO_TRANSACTIONS };
}

/** USE stands where a query begins: first, after `{`, or after UNION. */
function graphChoice(parts: readonly Part[]): Refusal | undefined {
  const found = parts.find((part, index) => {
    if (!isWord(part, "USE")) return false;
    const [before, next] = [parts[index - 1], parts[index + 1]];
    const begins = before === undefined || before.text === "{" || isWord(before, "UNION", "ALL", "DISTINCT");
    return begins && (next?.kind === "word" || next?.kind === "name");
  });
  if (!found) return undefined;
  const what = "USE chooses another database, where nothing would be recorded";
  return { offset: found.start, what, hint: "set NEO4J_DATABASE, and leave USE out" };
}

function administration(parts: readonly Part[]): Refusal | undefined {
  const [first, second, third] = parts;
  const isSchema = parts.slice(1, 5).some((part) => isWord(part, "INDEX", "CONSTRAINT", "GRAPH"));
  const isCommand = isCreateCommand(parts) || isWord(first, ...ADMIN_WORDS);
  const isUser = isWord(second, "USER") && !isWord(third, "DEFINED");
  const isShow =
    isWord(first, "SHOW") &&
    (isUser || isWord(third, "USER") || parts.slice(1, 5).some((part) => isWord(part, ...ADMIN_SHOWS)));
  if (!isShow && (!isCommand || isSchema)) return undefined;
  return {
    offset: first!.start,
    what: `${first!.word} ${second?.text ?? ""} is about the server, not about this database`.replace(
      "  ",
      " ",
    ),
    hint: "run it with cypher-shell: a migration holds schema and data of one database",
  };
}

/** `$name`; `$(…)`, `$any(…)` and `$all(…)` are labels that an expression names. */
function parameter(parts: readonly Part[]): Refusal | undefined {
  const found = parts.findIndex(
    ({ text }, index) =>
      text === "$" &&
      ["word", "name", "number"].includes(parts[index + 1]?.kind ?? "") &&
      parts[index + 2]?.text !== "(",
  );
  if (found < 0) return undefined;
  const what = `the parameter $${parts[found + 1]!.text} has no value in a migration`;
  return { offset: parts[found]!.start, what, hint: "write the value into the statement" };
}
