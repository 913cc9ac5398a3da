/** A file before a server sees it: a damaged one ends a server that loads it. */
import { createReadStream } from "node:fs";
import { differences } from "../../backup/counts.ts";
import type { Call } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import type { RestoreFile, RestoreTask } from "../../restore/port.ts";
import { parseRdb } from "./backup-parse.ts";
import { readEntries, readHead } from "./restore-entries.ts";
import type { Contents } from "./restore-found.ts";
import { ScratchRedis } from "./restore-scratch.ts";

/** @throws OpsError `integrity`: a Redis server is restored from one RDB file */
export function onlyFile(files: readonly RestoreFile[]): RestoreFile {
  const [file, ...others] = files.filter(({ kind }) => kind === "redis-rdb");
  if (file !== undefined && others.length === 0) return file;
  throw new OpsError({
    code: "integrity",
    message: `the set has ${files.length === 0 ? "no" : "more than one"} RDB file for Redis`,
    engine: "redis",
  });
}

/**
 * Reads all of a file. One that nobody vouches for is also loaded by a server of its own, where redis-server is installed: a text in it may be
 * well-formed to a parser and still be none that a server survives.
 * @throws OpsError `integrity` for what is damaged, or does not hold what the metadata say
 */
export async function examineFile(
  call: Call,
  file: RestoreFile,
  task: RestoreTask,
): Promise<Contents & { highest: number }> {
  const contents = await parseFile(call, file);
  const wrong = problemsOf(contents, task);
  if (wrong.length > 0)
    throw new OpsError({
      code: "integrity",
      message: `${file.path} is not what the metadata say: ${wrong.join("; ")}`,
      hint: "restore another archive: opsctl backup list",
      engine: "redis",
    });
  return { ...contents, highest: task.isOurs ? 0 : await examineForeign(call, file, task) };
}

/** Its structure, its checksum and what it holds. @throws OpsError `integrity` */
export function parseFile(call: Call, file: RestoreFile): Promise<Contents> {
  const { path, kind, size_bytes, local } = file;
  const content = createReadStream(local, { highWaterMark: 1 << 20 });
  return parseRdb(call, { path, kind, size_bytes, content, scratch: "" });
}

export function problemsOf(contents: Contents, { expected }: Pick<RestoreTask, "expected">): string[] {
  return [
    ...differences(contents.counts, expected.counts),
    ...differences(contents.breakdown, expected.breakdown),
  ];
}

/** @returns the highest number of a database that it names */
async function examineForeign(call: Call, file: RestoreFile, task: RestoreTask): Promise<number> {
  let highest = 0;
  for await (const piece of readEntries(call, file.local)) highest = Math.max(highest, piece.highest);
  const head = await readHead(file.local);
  const scratch = await ScratchRedis.start(call, task.options.redis.server, task.work, file.local, head);
  if (typeof scratch === "string") {
    call.log(
      "WARNING",
      `redis: ${file.path} was read to its end, and no server of its own loaded it: ${scratch}`,
    );
    return highest;
  }
  try {
    await scratch.loaded(call);
  } finally {
    await scratch.stop();
  }
  return highest;
}
