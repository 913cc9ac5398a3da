/** What changed in the amounts from one set to another. */
import type { EngineName } from "../errors.ts";
import type { Metadata, PartMetadata } from "./metadata.ts";

interface PartDifference {
  engine: EngineName;
  name: string;
  /** Null: the set has no such part. */
  a: PartMetadata["state"] | null;
  b: PartMetadata["state"] | null;
}

interface Change {
  engine: EngineName;
  part: string;
  /** A total, or one of what it is made of. */
  kind: "count" | "breakdown";
  /** `rows`, `public.users`, … */
  name: string;
  /** Null: there is none. */
  a: number | null;
  b: number | null;
  /** b - a. */
  change: number;
}

interface Difference {
  /** Parts that are not whole in both. */
  parts: PartDifference[];
  changes: Change[];
  /** Amounts that are the same. */
  unchanged: number;
}

/** Compares counts and breakdown of every part, in the order of the first set. */
export function diffSets(a: Pick<Metadata, "parts">, b: Pick<Metadata, "parts">): Difference {
  const difference: Difference = { parts: [], changes: [], unchanged: 0 };
  const of = ({ parts }: Pick<Metadata, "parts">) => new Map(parts.map((part) => [partKey(part), part]));
  const [left, right] = [of(a), of(b)];
  for (const key of new Set([...left.keys(), ...right.keys()]))
    comparePart(left.get(key), right.get(key), difference);
  return difference;
}

/** Names a part across sets. */
export function partKey({ engine, name }: Pick<PartMetadata, "engine" | "name">): string {
  return `${engine}:${name}`;
}

function comparePart(a: PartMetadata | undefined, b: PartMetadata | undefined, to: Difference): void {
  const { engine, name } = (a ?? b)!;
  if (a?.state !== "complete" || b?.state !== "complete")
    to.parts.push({ engine, name, a: a?.state ?? null, b: b?.state ?? null });
  const amounts = [
    ["count", a?.counts, b?.counts],
    ["breakdown", a?.breakdown, b?.breakdown],
  ] as const;
  for (const [kind, before, after] of amounts) {
    const [left, right] = [new Map(Object.entries(before ?? {})), new Map(Object.entries(after ?? {}))];
    for (const amount of new Set([...left.keys(), ...right.keys()])) {
      const [from, to_] = [left.get(amount) ?? null, right.get(amount) ?? null];
      if (from === to_) to.unchanged += 1;
      else
        to.changes.push({
          engine,
          part: name,
          kind,
          name: amount,
          a: from,
          b: to_,
          change: (to_ ?? 0) - (from ?? 0),
        });
    }
  }
}
