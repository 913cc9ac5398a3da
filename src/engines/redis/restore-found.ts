/** What a server holds against what a file holds. */
import type { Call } from "../../call.ts";
import type { Found } from "../../restore/port.ts";
import { type Info, keyspaceOf } from "./info.ts";
import { readEntries } from "./restore-entries.ts";

type Counts = Readonly<Record<string, number>>;

/** What a file holds, as its parser found it. */
export interface Contents {
  counts: Counts;
  breakdown: Counts;
}

/** Of a server, under the names of a file: keys and expiries of each database, libraries. Types are not counted by it. */
export function countsOf(info: Info): Pick<Found, "counts" | "breakdown"> {
  const breakdown: Record<string, number> = {};
  for (const [name, value = ""] of Object.entries(info)) {
    if (!/^db\d+$/.test(name)) continue;
    breakdown[name] = Number(/(?:^|,)keys=(\d+)/.exec(value)?.[1] ?? 0);
    breakdown[`${name}.expires`] = Number(/(?:^|,)expires=(\d+)/.exec(value)?.[1] ?? 0);
  }
  const { keys, expiring } = keyspaceOf(info);
  const databases = Object.keys(breakdown).filter((name) => /^db\d+$/.test(name)).length;
  const counts: Record<string, number> = { keys, expires: expiring, databases };
  const libraries = info["number_of_libraries"];
  if (libraries !== undefined) counts["functions"] = Number(libraries);
  return { counts, breakdown };
}

/** Where they differ: keys and expiries of each database that either has, and functions. */
export function compared(found: Pick<Found, "counts" | "breakdown">, file: Contents): Difference[] {
  const ofKeys = (name: string) => /^db\d+(\.expires)?$/.test(name);
  const names = [...new Set([...Object.keys(found.breakdown), ...Object.keys(file.breakdown)])].filter(
    ofKeys,
  );
  const pairs: Difference[] = names.map((name) => ({
    name,
    found: found.breakdown[name] ?? 0,
    wanted: file.breakdown[name] ?? 0,
  }));
  const { functions } = found.counts;
  const wanted = file.counts["functions"] ?? 0;
  // servers before Redis 7 have none, and no file of theirs either
  if (functions !== undefined || wanted > 0) pairs.push({ name: "functions", found: functions ?? 0, wanted });
  return pairs.filter((pair) => pair.found !== pair.wanted);
}

export interface Difference {
  name: string;
  found: number;
  wanted: number;
}

/** How many keys of each database have expired by now. */
export async function expiredKeys(call: Call, path: string): Promise<Map<number, number>> {
  const expired = new Map<number, number>();
  for await (const { keys } of readEntries(call, path)) {
    const now = Date.now();
    for (const { database, expiresAt } of keys)
      if (expiresAt !== null && expiresAt <= now) expired.set(database, (expired.get(database) ?? 0) + 1);
  }
  return expired;
}

/** What of the differences the expiry of keys does not explain. */
export function unexplained(
  differences: readonly Difference[],
  expired: ReadonlyMap<number, number>,
): Difference[] {
  return differences.filter(({ name, found, wanted }) => {
    const database = /^db(\d+)/.exec(name)?.[1];
    const gone = database === undefined ? 0 : (expired.get(Number(database)) ?? 0);
    return found > wanted || found < wanted - gone;
  });
}

/** `db0: it holds 99, and the file 100` */
export function sentence({ name, found, wanted }: Difference): string {
  return `${name}: the server holds ${found}, and the file ${wanted}`;
}
