/** A statement ends at `;` outside quotes and comments. */
const TOKEN =
  /'(?:[^'\\]|\\[\s\S])*'|"(?:[^"\\]|\\[\s\S])*"|`(?:[^`]|``)*`|\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|;|[^'"`/;]+|[\s\S]/g;

/** Splits a Cypher script into statements, comments and empty lines dropped. */
export function splitCypher(text: string): string[] {
  const statements: string[] = [];
  let current = "";
  const push = () => {
    const statement = current
      .split("\n")
      .map((line) => line.trimEnd())
      .filter((line) => line !== "")
      .join("\n")
      .trim();
    if (statement !== "") statements.push(statement);
    current = "";
  };
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === ";") push();
    else if (token.startsWith("//")) continue;
    // two words on either side of a comment stay two words
    else current += token.startsWith("/*") ? " " : token;
  }
  push();
  return statements;
}
