/** The files of a set against its metadata, in one pass. */
import { isDeepStrictEqual } from "node:util";
import type { Call } from "../call.ts";
import type { EngineName } from "../errors.ts";
import { type Archive, partOf } from "./archives.ts";
import { Damaged } from "./damaged.ts";
import { type FileMetadata, type Level, METADATA_FILE, type Metadata, parseMetadata } from "./metadata.ts";
import type { ParseFile } from "./port.ts";
import { readMetadata, type SetEntry, type SetReader } from "./reader.ts";
import { checkFile, type Look } from "./verify-file.ts";

/** Restoring is the level above. */
export type VerifyLevel = Exclude<Level, "drill">;

/** What is wrong with a file of the set, or with the archive. */
export interface Problem {
  path: string;
  message: string;
}

export interface SetFindings {
  problems: Problem[];
  /** Files of the metadata that were read to their end. */
  read: Set<string>;
  /** Counts that were the same, by file, when it was parsed. */
  compared: Map<string, number>;
  /** Bytes of all files that are there, `metadata.json` among them. */
  set_bytes: number;
}

export interface SetLook {
  level: VerifyLevel;
  /** What the set must hold. */
  metadata: Metadata;
  parsers: (engine: EngineName) => Promise<ParseFile>;
  /** Parsers that need files get their folders here. */
  scratchParent: string;
}

/**
 * Reads all of it. What is damaged is in the findings; after damage in a compressed archive the rest cannot be found.
 * @throws OpsError for what could not be looked at
 */
export async function checkSet(
  call: Call,
  archive: Archive,
  set: SetReader,
  look: SetLook,
): Promise<SetFindings> {
  const findings: SetFindings = { problems: [], read: new Set(), compared: new Map(), set_bytes: 0 };
  const files = new Map(look.metadata.files.map((file) => [file.path, file]));
  let hasMetadata = archive.container === "file";
  try {
    for await (const entry of set.entries()) {
      if (entry.path === METADATA_FILE) hasMetadata = true;
      findings.set_bytes += entry.size_bytes;
      await check(call, entry, files.get(entry.path), look, findings).catch((error: unknown) => {
        // a folder's files do not depend on each other
        if (archive.container !== "dir" || !(error instanceof Damaged)) throw error;
        findings.problems.push({ path: error.path, message: error.what });
      });
    }
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    findings.problems.push({ path: error.path, message: error.what });
    return findings;
  }
  if (!hasMetadata) findings.problems.push({ path: METADATA_FILE, message: "it is missing" });
  const known = new Set(findings.problems.map(({ path }) => path));
  for (const path of files.keys()) {
    if (!findings.read.has(path) && !known.has(path))
      findings.problems.push({ path, message: "it is missing" });
  }
  return findings;
}

async function check(
  call: Call,
  entry: SetEntry,
  expected: FileMetadata | undefined,
  look: SetLook,
  findings: SetFindings,
): Promise<void> {
  const { path } = entry;
  if (path === METADATA_FILE) {
    const inner = parseInner(await readMetadata(entry.content), path);
    if (!isDeepStrictEqual(inner, look.metadata))
      findings.problems.unshift({
        path,
        message: "it is not what the sidecar says: one of them belongs to another archive, or was changed",
      });
    return;
  }
  if (expected === undefined) {
    findings.problems.push({ path, message: "the metadata does not name it" });
    return;
  }
  const { problems, compared } = await checkFile(call, entry, expected, await lookAt(path, look));
  findings.read.add(path);
  findings.compared.set(path, compared);
  for (const message of problems) findings.problems.push({ path, message });
}

function parseInner(text: string, path: string): Metadata {
  try {
    return parseMetadata(text, path);
  } catch (error) {
    throw new Damaged(path, (error as Error).message);
  }
}

async function lookAt(path: string, { level, metadata, parsers, scratchParent }: SetLook): Promise<Look> {
  const hashes = level !== "structure";
  if (level !== "parse") return { hashes };
  const part = partOf(metadata, path);
  if (part === undefined) throw new Damaged(path, "the metadata does not say which part it belongs to");
  return { hashes, parse: { parse: await parsers(part.engine), part, scratchParent } };
}
