/**
 * Tokens of PostgreSQL's lexical rules that may hold a `;` which ends nothing: E'' strings (backslash
 * escapes), plain strings, quoted names, dollar quotes. Block comments nest, so only their start is matched
 * here.
 */
const TOKEN = new RegExp(
  [
    /[eE]'(?:[^'\\]|\\[\s\S]|'')*'/,
    /'(?:[^']|'')*'/,
    /"(?:[^"]|"")*"/,
    /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/,
    /--[^\n]*|\/\*|;/,
    /[\w$\u0080-\uffff]+|[\s\S]/,
  ]
    .map((part) => part.source)
    .join("|"),
  "y",
);

/** Splits a script into statements, comments dropped, white space at the ends trimmed. */
export function splitSql(text: string): string[] {
  const statements: string[] = [];
  let current = "";
  for (let at = 0; at < text.length; ) {
    const { token, end } = nextToken(text, at);
    at = end;
    if (token === ";") {
      statements.push(tidy(current));
      current = "";
    } else {
      current += token;
    }
  }
  return [...statements, tidy(current)].filter((statement) => statement !== "");
}

/** The token at `at`; a comment counts as one space. */
function nextToken(text: string, at: number): { token: string; end: number } {
  TOKEN.lastIndex = at;
  const token = TOKEN.exec(text)![0];
  const end = at + token.length;
  if (token === "/*") return { token: " ", end: endOfComment(text, end) };
  if (token.startsWith("--")) return { token: " ", end };
  if (!/^\$.*\$$/.test(token)) return { token, end };
  const close = text.indexOf(token, end);
  const stop = close < 0 ? text.length : close + token.length;
  return { token: text.slice(at, stop), end: stop };
}

function endOfComment(text: string, from: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = from;
  for (let depth = 1; depth > 0; ) {
    const match = mark.exec(text);
    if (!match) return text.length;
    depth += match[0] === "/*" ? 1 : -1;
  }
  return mark.lastIndex;
}

function tidy(statement: string): string {
  return statement
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "")
    .join("\n")
    .trim();
}
