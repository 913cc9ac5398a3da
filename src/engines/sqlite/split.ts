/** A statement ends at `;` outside quotes, comments and trigger bodies (`BEGIN … END;`). */
const TOKEN =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|;|\b\w+\b|[\s\S]/g;

/** Splits a SQLite script into statements, comments dropped, white space at the ends trimmed. */
export function splitSql(text: string): string[] {
  const statements: string[] = [];
  let current = "";
  let isTrigger = false;
  let depth = 0;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token.startsWith("--") || token.startsWith("/*")) continue;
    const word = token.toUpperCase();
    if (word === "TRIGGER" && /^\s*CREATE\s+(TEMP(ORARY)?\s+)?$/i.test(current)) isTrigger = true;
    if (isTrigger && (word === "BEGIN" || word === "CASE")) depth += 1;
    if (isTrigger && word === "END") depth -= 1;
    if (token !== ";" || depth > 0) {
      current += token;
      continue;
    }
    push();
  }
  push();
  return statements;

  function push(): void {
    const statement = current
      .split("\n")
      .map((line) => line.trimEnd())
      .filter((line) => line !== "")
      .join("\n")
      .trim();
    if (statement !== "") statements.push(statement);
    current = "";
    isTrigger = false;
    depth = 0;
  }
}
