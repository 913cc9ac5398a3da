/** What fell since the backup before: a table that was emptied by mistake is noticed while there is still an archive of it. */
import type { Archive } from "./archives.ts";
import { partKey } from "./diff.ts";
import type { Metadata, PartMetadata, Sidecar } from "./metadata.ts";

type Weighed = Pick<Sidecar, "size_bytes" | "container" | "encrypted" | "metadata">;

/** Smaller files change by large shares without anything having happened. */
const SMALL_BYTES = 64 * 1024;

/**
 * A line for each size and count that fell by at least `percent`, and for each part that is gone. Every part is compared with the last archive
 * that has it whole, the total size with the last one of the same parts.
 * @param earlier good archives of the folder, oldest first
 * @param isEverything the run was of all that is configured: an engine that is gone is worth a line too
 */
export function shrinkWarnings(
  earlier: readonly Archive[],
  current: Weighed,
  percent: number,
  isEverything = false,
): string[] {
  const sidecars = earlier
    .flatMap(({ sidecar }) => sidecar ?? [])
    .filter(({ metadata }) => metadata.id !== current.metadata.id)
    .reverse();
  const fell = (from: number, to: number) => from > 0 && from - to >= (from * percent) / 100;
  return [
    ...totalWarning(sidecars, current, fell),
    ...goneParts(sidecars, current.metadata, isEverything),
    ...current.metadata.parts.flatMap((part) => partWarnings(sidecars, current.metadata, part, fell)),
  ];
}

type Fell = (from: number, to: number) => boolean;

function totalWarning(sidecars: readonly Sidecar[], current: Weighed, fell: Fell): string[] {
  const signature = ({ container, encrypted, metadata }: Weighed) =>
    [container, encrypted, ...metadata.parts.map(partKey).toSorted()].join("\n");
  const previous = sidecars.find((sidecar) => signature(sidecar) === signature(current));
  if (!previous || previous.size_bytes < SMALL_BYTES || !fell(previous.size_bytes, current.size_bytes))
    return [];
  return [line("the archive", "bytes", previous.size_bytes, current.size_bytes, previous.metadata)];
}

/**
 * Of each engine the parts of the last archive that has it; of an engine that is gone altogether those of the last archive only, or it would be
 * missed for ever.
 */
function goneParts(sidecars: readonly Sidecar[], { parts }: Metadata, isEverything: boolean): string[] {
  const present = new Set(parts.map(partKey));
  const engines = new Set(parts.map(({ engine }) => engine));
  const gone = (previous: Metadata | undefined, isMeant: (part: PartMetadata) => boolean) =>
    (previous?.parts ?? [])
      .filter((part) => isMeant(part) && !present.has(partKey(part)))
      .map(({ engine, name }) => `${engine} ${name} is not in it, and was in ${previous!.name}`);
  const lost = [...engines].flatMap((engine) => {
    const previous = sidecars.find(({ metadata }) => metadata.parts.some((part) => part.engine === engine));
    return gone(previous?.metadata, (part) => part.engine === engine);
  });
  return isEverything
    ? [...lost, ...gone(sidecars[0]?.metadata, ({ engine }) => !engines.has(engine))]
    : lost;
}

/** A part that failed is reported as such. */
function partWarnings(
  sidecars: readonly Sidecar[],
  current: Metadata,
  part: PartMetadata,
  fell: Fell,
): string[] {
  if (part.state === "failed") return [];
  const holds = (other: PartMetadata) => partKey(other) === partKey(part) && other.state === "complete";
  const previous = sidecars.find(({ metadata }) => metadata.parts.some(holds))?.metadata;
  if (!previous) return [];
  const before = previous.parts.find(holds)!;
  const what = `${part.engine} ${part.name}`;
  const now = new Map(Object.entries(part.counts));
  return [
    ...Object.entries(before.counts)
      .filter(([name, count]) => fell(count, now.get(name) ?? 0))
      .map(([name, count]) => line(what, name, count, now.get(name) ?? 0, previous)),
    ...sizesOf(current, part).flatMap(([path, size]) => {
      const earlierSize = new Map(sizesOf(previous, before)).get(path) ?? 0;
      const isSmaller = earlierSize >= SMALL_BYTES && fell(earlierSize, size);
      return isSmaller ? [line(path, "bytes", earlierSize, size, previous)] : [];
    }),
  ];
}

function sizesOf({ files }: Metadata, part: PartMetadata): [path: string, size: number][] {
  return files
    .filter(({ path }) => part.files.includes(path))
    .map(({ path, size_bytes: size }) => [path, size]);
}

function line(what: string, unit: string, from: number, to: number, previous: Metadata): string {
  const share = Math.floor(((from - to) * 100) / from);
  return `${what}: ${to} ${unit}, ${share} % fewer than the ${from} in ${previous.name}`;
}
