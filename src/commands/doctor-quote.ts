/** Characters that need no quotes in any shell, in any place of a command. */
const PLAIN = /^[\w@%+=:,./-]+$/;
/** What a line, a table or a terminal would not show as it is (`output/escape.ts`): control, bidirectional and invisible characters. */
const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/;

/**
 * A command as a line for a shell: what it splits into is what was given. Words with control characters come as `$'…'` (bash, zsh, ksh, POSIX
 * 2024), so that a line stays a line.
 */
export function commandLine(argv: readonly string[]): string {
  return argv.map(quoted).join(" ");
}

function quoted(word: string): string {
  if (PLAIN.test(word)) return word;
  if (!UNPRINTABLE.test(word)) return `'${word.replaceAll("'", "'\\''")}'`;
  return `$'${[...word].map(escaped).join("")}'`;
}

function escaped(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  if (character === "\\" || character === "'") return `\\${character}`;
  if (!UNPRINTABLE.test(character)) return character;
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
