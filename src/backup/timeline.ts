/** The sets of a folder in the order in which they were made, with the times that can be believed. */
import type { EngineName } from "../errors.ts";
import { type Archive, byAge, isGood } from "./archives.ts";

export const DAY_MS = 86_400_000;
/** How far a time may lie ahead: clocks of hosts that write into one folder differ, and so may time zones of what came from elsewhere. */
const AHEAD_MS = DAY_MS;
/** A name that `nameOf` gave: the time in UTC, with a number when that was taken. */
const NAME = /^(\d{4})(\d{2})(\d{2})_(\d{2})(\d{2})(\d{2})(?:_\d+)?$/;

/** A set in its place. */
export interface Placed {
  archive: Archive;
  /** When it was begun, as metadata or name say, in milliseconds since 1970; null: neither says. */
  at: number | null;
  /** Engines that it holds; without a sidecar none is known. */
  engines: ReadonlySet<EngineName>;
  isGood: boolean;
  /** `at` lies in the future. */
  isAhead: boolean;
  /** It is good, and its time agrees with its place: not in the future, not before that of one that was made earlier. */
  isTrusted: boolean;
}

/** When an archive was begun, by its metadata, else by its name; never by the file's own times. Null: nothing says. */
export function timeOf({ sidecar, name }: Archive): number | null {
  const parts = NAME.exec(name)?.slice(1);
  const at =
    sidecar !== null
      ? Date.parse(sidecar.metadata.started_at)
      : parts
        ? Date.parse(`${parts.slice(0, 3).join("-")}T${parts.slice(3).join(":")}Z`)
        : Number.NaN;
  return Number.isNaN(at) ? null : at;
}

/**
 * Sets, oldest first: by sequence, and those without a sidecar where their time belongs (at the beginning when it is not known). The order of
 * the input does not matter.
 */
export function timeline(archives: readonly Archive[], now: number): Placed[] {
  const sorted = archives.toSorted((a, b) => byAge(a, b) || (a.path < b.path ? -1 : 1));
  const placed: Placed[] = [];
  let latest = Number.NEGATIVE_INFINITY;
  for (const archive of sorted.filter(({ sidecar }) => sidecar !== null)) {
    const set = place(archive, now, latest);
    if (set.isTrusted) latest = set.at!;
    placed.push(set);
  }
  for (const archive of sorted.filter(({ sidecar }) => sidecar === null)) {
    const set = place(archive, now, latest);
    const next = placed.findIndex(({ isTrusted, at }) => isTrusted && at! > set.at!);
    placed.splice(set.at === null ? 0 : next === -1 ? placed.length : next, 0, set);
  }
  return placed;
}

function place(archive: Archive, now: number, latest: number): Placed {
  const at = timeOf(archive);
  const good = isGood(archive);
  const isAhead = at !== null && at > now + AHEAD_MS;
  const parts = archive.sidecar?.metadata.parts.filter(({ state }) => state === "complete") ?? [];
  return {
    archive,
    at,
    engines: new Set(parts.map(({ engine }) => engine)),
    isGood: good,
    isAhead,
    isTrusted: good && at !== null && !isAhead && at >= latest,
  };
}

/** Whether one set has all engines of another. */
export function covers(one: Placed, other: Placed): boolean {
  return other.engines.isSubsetOf(one.engines);
}
