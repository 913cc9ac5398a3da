/** The file of a set that a SQLite file is restored from. */
import { open } from "node:fs/promises";
import { differences } from "../../backup/counts.ts";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { RestoreFile, RestoreTask } from "../../restore/port.ts";
import type { Found } from "./backup-check.ts";
import { useThread } from "./backup-thread.ts";

/** @throws OpsError `integrity` when it is not exactly one */
export function databaseOf({ name, files }: RestoreTask): RestoreFile {
  const [file, ...others] = files.filter(({ kind }) => kind === "sqlite-database");
  if (file && others.length === 0) return file;
  throw new OpsError({
    code: "integrity",
    engine: "sqlite",
    message: `the set holds ${others.length > 0 ? "several files" : "no SQLite file"} for ${name}`,
    hint: "restore from another archive: opsctl backup list",
  });
}

/** Bytes of a page of the file, as its header says (https://sqlite.org/fileformat2.html#page_size); 0: it has none. */
export async function pageSizeOf(local: string): Promise<number> {
  const file = await open(local);
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(2), position: 16 });
    const size = buffer.readUInt16BE();
    return bytesRead < 2 ? 0 : size === 1 ? 65_536 : size;
  } finally {
    await file.close();
  }
}

/** Reads every page of it. @throws OpsError `integrity` for damage, and for amounts that are not those of the metadata */
export async function checkStaged(
  call: Call,
  { path, local }: RestoreFile,
  task: RestoreTask,
): Promise<void> {
  const [problem] = compare(await checkFile(call, local, path), task.expected);
  if (problem === undefined) return;
  throw new OpsError({
    code: "integrity",
    engine: "sqlite",
    message: `${path} is not what the metadata says: ${problem}`,
    hint: "restore from another archive: opsctl backup list",
  });
}

/**
 * Reads every page of a file that nobody writes to.
 * @param path in the set, for messages
 * @throws OpsError `integrity`
 */
export async function checkFile(call: Call, local: string, path: string): Promise<Found> {
  const thread = useThread("checking");
  try {
    return await thread.ask(call, `checking ${path}`, "check", local, path);
  } finally {
    thread.release();
  }
}

/** A sentence for each amount, and each table, that differs. */
export function compare(
  found: Pick<Found, "counts" | "breakdown">,
  expected: RestoreTask["expected"],
): string[] {
  const missing = Object.keys(expected.breakdown)
    .filter((table) => !Object.hasOwn(found.breakdown, table))
    .map((table) => `table ${table} is missing`);
  return [
    ...differences(found.counts, expected.counts),
    ...differences(found.breakdown, expected.breakdown),
    ...missing,
  ];
}
