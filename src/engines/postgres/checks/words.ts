/** Figures and texts as findings show them. */

/** `12,500`. */
export function number(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** `97.2 %`. */
export function percent(value: number): string {
  return `${value.toFixed(1)} %`;
}

/** `40 s`, `14 min`, `3.5 h`, `12 days`: three digits are enough to act. */
export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** Characters of a statement that a finding shows. */
const SHOWN = 120;

/** A statement of a user on one line, cut; passwords in it are left out. */
export function excerpt(statement: string | null): string {
  const line = (statement ?? "")
    .replaceAll(/\s+/g, " ")
    .replaceAll(/(password\s*=?\s*)(?:E|U&)?'(?:[^']|'')*(?:'|$)/gi, "$1…")
    .replaceAll(/(:\/\/[^\s:@/]*:)[^\s@]*@/g, "$1…@")
    .trim();
  return line.length <= SHOWN ? line : `${line.slice(0, SHOWN - 1)}…`;
}
