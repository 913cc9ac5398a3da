/**
 * C0 but tab and line feed, DEL, C1, bidirectional controls, line separators, zero-width and other invisible format characters: what a
 * terminal would act on or a reader would not see (CVE-2021-25743; kubernetes #112553 escapes CR too).
 */
const UNSAFE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Makes a value from a store safe for a terminal: unsafe characters become visible escapes; tab and line feed stay. */
export function escapeText(text: string): string {
  return text.replace(UNSAFE, escapeCharacter);
}

/** The same for one table cell or TSV field: line feed and tab become escapes too, so a row stays a row. */
export function escapeCell(text: string): string {
  return escapeText(text).replace(/[\n\t]/g, (character) => (character === "\n" ? "\\n" : "\\t"));
}

function escapeCharacter(character: string): string {
  if (character === "\r") return "\\r";
  const code = character.charCodeAt(0);
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, "0")}`
    : `\\u${code.toString(16).padStart(4, "0")}`;
}
