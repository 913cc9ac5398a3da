/** What was found against what a set says that it holds. */

export type Counts = Readonly<Record<string, number>>;

/** A sentence for each amount that both know and that differs. What only one of them knows is not compared. */
export function differences(found: Counts, expected: Counts): string[] {
  return Object.entries(found)
    .filter(([name, count]) => Object.hasOwn(expected, name) && expected[name] !== count)
    .map(([name, count]) => `${name}: it holds ${count}, and the metadata says ${expected[name]}`);
}

/** How many amounts both know. */
export function common(found: Counts, expected: Counts): number {
  return Object.keys(found).filter((name) => Object.hasOwn(expected, name)).length;
}
