import { tokenAt } from "./lexer.ts";

/** Enough of a statement to tell what it is; nobody sorts longer ones out. */
const MAX_TOKENS = 400;

/**
 * The tokens of a statement: words in lower case, everything else as written. Comments and white space are left out; what is beyond the
 * first `max` too.
 */
export function tokensOf(text: string, max = MAX_TOKENS): string[] {
  const tokens: string[] = [];
  for (let at = 0; at < text.length && tokens.length < max; ) {
    const { kind, start, end } = tokenAt(text, at);
    at = end;
    if (kind === "space" || kind === "comment") continue;
    const token = text.slice(start, end);
    tokens.push(kind === "word" ? token.toLowerCase() : token);
  }
  return tokens;
}

/** Tokens as one line to match against; strings and quoted names are empty, so that no text in them counts as a word. */
function outlineOf(tokens: readonly string[]): string {
  return tokens
    .map((token) => token.replace(/^(?:[A-Za-z]&?)?(['"])[\s\S]*/, "$1$1").replace(/^\$[\s\S]+/, "''"))
    .join(" ");
}

/** Walks over tokens from left to right. */
class Reader {
  readonly #tokens: readonly string[];
  #at = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  /** Takes the words when all of them come next. */
  take(...words: readonly string[]): boolean {
    if (!words.every((word, index) => this.#tokens[this.#at + index] === word)) return false;
    this.#at += words.length;
    return true;
  }

  takeAny(...words: readonly string[]): boolean {
    return words.some((word) => this.take(word));
  }

  /** A name as written, with its schema. Null: there is none, or one that only the parser can read (U&"…"). */
  name(): string | null {
    const parts: string[] = [];
    do {
      const part = this.#tokens[this.#at];
      if (part === undefined || !/^(?:[a-z_\u0080-\uffff]|")/.test(part)) return null;
      parts.push(part);
      this.#at += 1;
    } while (this.take("."));
    return parts.join(".");
  }

  /** What stands in the parentheses that come next. */
  options(): string[] {
    if (!this.take("(")) return [];
    const from = this.#at;
    const end = this.#tokens.indexOf(")", from);
    this.#at = end < 0 ? this.#tokens.length : end + 1;
    return this.#tokens.slice(from, this.#at - 1);
  }
}

/** Words that end a transaction or begin one: the transaction around a file is not the file's to end. */
const CONTROL = ["begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"];

/** The words of a statement that controls transactions, as a person writes them; null: it is another one. */
export function transactionControl(text: string): string | null {
  const [first = "", second = ""] = tokensOf(text, 2);
  if (first === "prepare" && second === "transaction") return "PREPARE TRANSACTION";
  if (!CONTROL.includes(first)) return null;
  const isLong = second === "prepared" || first === "start";
  return (isLong ? `${first} ${second}` : first).toUpperCase();
}

/** Whether a text's first and last statement do nothing but put a transaction around the others. */
export function opensTransaction(text: string): boolean {
  return /^(?:begin(?: transaction| work)?|start transaction)$/.test(tokensOf(text, 3).join(" "));
}

export function closesTransaction(text: string): boolean {
  return /^(?:commit|end)(?: transaction| work)?$/.test(tokensOf(text, 3).join(" "));
}

/**
 * A statement that builds or drops an index beside running queries: it leaves an invalid index when it breaks off. Names as written;
 * null: not given, or only the parser can read them.
 */
export type ConcurrentIndex =
  | { verb: "create"; index: string | null; table: string | null; ifNotExists: boolean }
  | { verb: "drop"; index: string | null }
  | { verb: "reindex"; kind: string; of: string | null };

export function concurrentIndex(text: string): ConcurrentIndex | null {
  const reader = new Reader(tokensOf(text));
  if (reader.take("create")) {
    reader.take("unique");
    return reader.take("index", "concurrently") ? createdIndex(reader) : null;
  }
  if (reader.take("drop", "index", "concurrently")) {
    reader.take("if", "exists");
    return { verb: "drop", index: reader.name() };
  }
  return reader.take("reindex") ? reindexed(reader) : null;
}

function createdIndex(reader: Reader): ConcurrentIndex {
  const ifNotExists = reader.take("if", "not", "exists");
  let index: string | null = null;
  if (!reader.take("on")) {
    index = reader.name();
    if (!reader.take("on")) return { verb: "create", index: null, table: null, ifNotExists };
  }
  reader.take("only");
  return { verb: "create", index, table: reader.name(), ifNotExists };
}

function reindexed(reader: Reader): ConcurrentIndex | null {
  const options = reader.options().join(" ");
  const byOption = /\bconcurrently\b(?! (?:false|off|0)\b)/.test(options);
  for (const kind of ["index", "table", "schema", "database", "system"]) {
    if (!reader.take(kind)) continue;
    const isConcurrent = reader.take("concurrently") || byOption;
    return isConcurrent ? { verb: "reindex", kind, of: reader.name() } : null;
  }
  return null;
}

/** Statements that PostgreSQL refuses inside a transaction, whatever they say further on. */
const OUTSIDE = [
  /^vacuum\b/,
  /^alter system\b/,
  /^(?:create|drop) (?:database|tablespace)\b/,
  /^alter database \S+ set tablespace\b/,
  /^discard all$/,
  /^cluster(?: verbose)?$/,
  /^reindex (?:\( .*?\) )?(?:schema|database|system)\b/,
  /^alter table .* detach partition .* concurrently$/,
];

/** Words without which a statement is none of those: most can be passed over at a glance. */
const RARE = /vacuum|system|database|tablespace|discard|cluster|reindex|concurrently/i;

/** Whether PostgreSQL refuses a statement inside a transaction. */
export function runsOutsideTransaction(text: string): boolean {
  if (!RARE.test(text)) return false;
  const outline = outlineOf(tokensOf(text));
  return OUTSIDE.some((pattern) => pattern.test(outline)) || concurrentIndex(text) !== null;
}

/** Whether a statement waits for other transactions by design, so that a short limit on its waits would break it off. */
export function waitsForTransactions(text: string): boolean {
  const tokens = tokensOf(text);
  return tokens.includes("concurrently") && tokens[0] !== "refresh";
}

/** Statements with the same effect twice. */
const SAME_TWICE = [
  /^(?:set|reset|show|vacuum|analyze|analyse|reindex|cluster|comment on|security label|grant|revoke)\b/,
  /^(?:refresh materialized view|checkpoint|discard|load|lock|listen|unlisten|alter system)\b/,
  /^create or replace\b/,
  /^create (?:\w+ ){1,3}if not exists\b/,
  /^drop (?:\w+ ){1,3}if exists\b/,
  /^alter type .* add value if not exists\b/,
  /^insert into .* on conflict (?:\(.*\) )?do nothing$/,
  /^alter (?!table\b).* owner to \S+$/,
];

/** Actions of ALTER TABLE with the same effect twice. */
const SAME_ACTION = [
  /^add column if not exists\b/,
  /^drop (?:column|constraint) if exists\b/,
  /^alter (?:column )?\S+ (?:set|drop) (?:default|not null|statistics|storage|compression)\b/,
  /^(?:validate constraint|owner to|set \(|reset \(|replica identity|cluster on|set without)/,
  /^(?:enable|disable) (?:always |replica )?(?:trigger|rule|row level security)\b/,
  /^(?:no )?force row level security\b/,
];

/**
 * Whether a statement that may or may not have taken effect can run again: it has the same effect twice, or it names the index that it
 * builds or drops concurrently, which can be looked for.
 */
export function isRepeatable(text: string): boolean {
  const tokens = tokensOf(text);
  if (tokens.length >= MAX_TOKENS) return /^create or replace\b/.test(tokens.slice(0, 3).join(" "));
  const concurrent = concurrentIndex(text);
  if (concurrent) return concurrent.verb === "reindex" || concurrent.index !== null;
  const outline = outlineOf(tokens);
  if (SAME_TWICE.some((pattern) => pattern.test(outline))) return true;
  const altered = /^alter table (?:if exists )?(?:only )?[^ ]+(?: \. [^ ]+)* (.*)$/.exec(outline)?.[1];
  return (
    altered !== undefined && actionsOf(altered).every((action) => SAME_ACTION.some((p) => p.test(action)))
  );
}

/** Splits at the commas outside parentheses. */
function actionsOf(outline: string): string[] {
  const actions = [""];
  let depth = 0;
  for (const token of outline.split(" ")) {
    if (token === "(") depth += 1;
    if (token === ")") depth -= 1;
    if (token === "," && depth === 0) actions.push("");
    else actions.push(`${actions.pop()} ${token}`.trim());
  }
  return actions;
}
