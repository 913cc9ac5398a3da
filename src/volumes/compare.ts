/** Compares the content of a volume, read once more, with the folder that it was copied into. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { Parser, type ReadEntry } from "tar";
import { type Call, throwIfAborted } from "../call.ts";
import { OpsError } from "../errors.ts";
import { flush } from "../publish.ts";
import { pathInVolume } from "./docker.ts";

/** The same on both sides. */
export interface Compared {
  files: number;
  folders: number;
  links: number;
  bytes: number;
  /** Over path, size and content of every file, in the order of the volume. */
  sha256: string;
  /** Entries that belong to somebody else than in the volume. */
  otherOwners: number;
  /** The volume's own folder; null: the stream did not have it. */
  root: { uid: number; gid: number; mode: number } | null;
}

/**
 * @param content a tar of the volume
 * @param label of the volume, for messages and progress
 * @throws OpsError `integrity` naming the first entry that differs
 */
export async function compare(
  call: Call,
  { content, done }: { content: Readable; done: Promise<unknown> },
  folder: string,
  label: string,
): Promise<Compared> {
  const found: Compared = {
    files: 0,
    folders: 0,
    links: 0,
    bytes: 0,
    sha256: "",
    otherOwners: 0,
    root: null,
  };
  const hash = createHash("sha256");
  try {
    for await (const entry of entriesOf(content)) {
      throwIfAborted(call);
      await compareEntry(entry, folder, label, found, hash);
      call.progress({ label: `comparing ${label}`, done: found.bytes, unit: "bytes" });
    }
  } catch (error) {
    // where the stream was cut off, Docker says why
    if (!(error instanceof OpsError)) await done;
    throw error;
  }
  await done;
  const there = await countEntries(folder);
  const expected = found.files + found.folders + found.links;
  if (there !== expected)
    throw differs(label, ".", `${expected} entries in the volume, ${there} in the copy`);
  return { ...found, sha256: hash.digest("hex") };
}

/** The next entry comes when this one was read to its end. */
async function* entriesOf(content: Readable): AsyncGenerator<ReadEntry> {
  const ready: ReadEntry[] = [];
  let wake = () => {};
  let isOver = false;
  let failure: unknown;
  const end = (error?: unknown) => {
    failure ??= error;
    isOver = true;
    wake();
  };
  const parser = new Parser({
    strict: true,
    onReadEntry(entry) {
      ready.push(entry);
      wake();
    },
  });
  parser.on("end", () => end());
  parser.on("error", end);
  content.on("error", end);
  content.pipe(parser as unknown as NodeJS.WritableStream);
  for (;;) {
    const entry = ready.shift();
    if (entry) {
      yield entry;
      entry.resume();
    } else if (failure !== undefined) throw failure;
    else if (isOver) return;
    else {
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      await promise;
    }
  }
}

async function compareEntry(
  entry: ReadEntry,
  folder: string,
  label: string,
  found: Compared,
  hash: ReturnType<typeof createHash>,
): Promise<void> {
  const path = pathInVolume(entry.path);
  const local = join(folder, path);
  const stats = await lstat(local).catch(() => undefined);
  if (!stats) throw differs(label, path, "it is not in the copy");
  if (stats.uid !== entry.uid || stats.gid !== entry.gid) found.otherOwners += 1;
  if (path === ".")
    found.root = { uid: entry.uid ?? 0, gid: entry.gid ?? 0, mode: (entry.mode ?? 0o755) & 0o7777 };
  if (entry.type === "Directory") {
    if (!stats.isDirectory()) throw differs(label, path, "it is no folder in the copy");
    await flush(local);
    if (path !== ".") found.folders += 1;
  } else if (entry.type === "SymbolicLink") {
    if ((await readlink(local).catch(() => undefined)) !== entry.linkpath)
      throw differs(label, path, "the link leads elsewhere in the copy");
    found.links += 1;
  } else if (!stats.isFile()) {
    throw differs(label, path, `it is a ${entry.type} in the volume, and no such thing in the copy`);
  } else if (entry.type === "Link") {
    // the same file by another name: its content is compared there
    const other = await lstat(join(folder, pathInVolume(entry.linkpath ?? ""))).catch(() => undefined);
    if (other?.size !== stats.size) throw differs(label, path, "its other name is not in the copy");
    found.files += 1;
  } else {
    const inVolume = await digestOf(entry);
    if (stats.size !== inVolume.bytes || (await digestOf(createReadStream(local))).sha256 !== inVolume.sha256)
      throw differs(label, path, "its content differs");
    await flush(local);
    found.files += 1;
    found.bytes += inVolume.bytes;
    hash.update(`${path}\0${inVolume.bytes}\0${inVolume.sha256}\n`);
  }
}

async function digestOf(content: AsyncIterable<Uint8Array>): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of content) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

async function countEntries(folder: string): Promise<number> {
  let count = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    count += 1;
    if (entry.isDirectory()) count += await countEntries(join(folder, entry.name));
  }
  return count;
}

function differs(label: string, path: string, why: string): OpsError {
  return new OpsError({
    code: "integrity",
    message: `the copy of the volume ${label} is not what the volume is: ${path}: ${why}`,
    hint: "stop what writes to it, and repeat; nothing was put into place",
  });
}
