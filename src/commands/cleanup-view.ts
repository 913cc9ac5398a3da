/** What `cleanup` prints for people. */
import { bytes } from "../output/human.ts";
import type { Io } from "../output/io.ts";
import { type Column, printTable } from "../output/table.ts";
import type { CleanedUp } from "./cleanup.ts";

type Kind = CleanedUp["kinds"][number];

/** Columns of `cleanup`: name, action, size, why. */
const COLUMNS: readonly Column<CleanedUp["archives"][number]>[] = [
  { header: "NAME", value: ({ name }) => name },
  {
    header: "ACTION",
    value: ({ action, error }) => (error === null ? action : "failed"),
    style: ({ action, error }) => (error !== null ? "red" : action === "remove" ? "yellow" : undefined),
  },
  {
    header: "SIZE",
    value: ({ size_bytes: size }) => size,
    shown: ({ size_bytes: size }) => bytes(size),
    align: "right",
  },
  { header: "WHY", value: ({ reasons, error }) => error ?? reasons.join("; "), flexible: true },
];

/** The archives as a table on stdout; a line on stderr for each other kind that has something to say. */
export async function render(io: Io, data: CleanedUp): Promise<void> {
  await printTable(io, COLUMNS, data.archives);
  for (const name of data.swept) io.note(`${name}: left behind by a run that was killed, removed`);
  for (const kind of data.kinds) if (kind.kind !== "archives") noteKind(io, kind, data.dry_run);
  if (data.kinds.every(({ kind }) => kind !== "archives")) return;
  const verb = data.dry_run ? "would be removed" : "removed";
  const kept = data.archives.length - data.removed_count;
  io.note(`${data.dir}: ${data.removed_count} ${verb} (${bytes(data.removed_bytes)}), ${kept} kept`);
}

function noteKind(io: Io, { kind, engine, found, removed, size_bytes, items }: Kind, isDry: boolean): void {
  if (found === 0) return;
  const place = engine === null ? "" : ` of ${engine}`;
  const size = size_bytes === 0 ? "" : ` (${bytes(size_bytes)})`;
  const what = isDry ? `${found} would be removed${size}` : `${removed} of ${found} removed${size}`;
  io.note(`${kind}${place}: ${what}: ${items.map(({ subject, why }) => `${subject}, ${why}`).join("; ")}`);
}
