/** Versions as programs print them. */

/** `18.7` → [18, 7]; `18beta1` → [18]. Empty when there is none. */
export function versionIn(text: string): number[] {
  const found = /\d+(?:\.\d+)*/.exec(text)?.[0];
  return found === undefined ? [] : found.split(".").map(Number);
}

/** Numbers that are missing count as 0. */
export function isOlder(one: readonly number[], other: readonly number[]): boolean {
  for (let at = 0; at < Math.max(one.length, other.length); at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
