import type { Statement } from "../../migrate/port.ts";
import { cypherTokens } from "./cypher-tokens.ts";

/** The statements of a Cypher script: what stands between `;` outside quotes and comments. Nothing between two is none. */
export function splitCypher(text: string): Statement[] {
  const statements: Statement[] = [];
  let from: number | undefined;
  let to = 0;
  const push = () => {
    if (from !== undefined) statements.push({ text: text.slice(from, to), offset: from });
    from = undefined;
  };
  for (const { kind, start, end } of cypherTokens(text)) {
    if (kind === "space" || kind === "comment") continue;
    if (kind === "sign" && text[start] === ";") {
      push();
      continue;
    }
    from ??= start;
    to = end;
  }
  push();
  return statements;
}
