/** One file of a set against what the metadata says of it. */
import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { type Call, throwIfAborted } from "../call.ts";
import { OpsError } from "../errors.ts";
import { common, differences } from "./counts.ts";
import type { FileMetadata, PartMetadata } from "./metadata.ts";
import type { ParseFile } from "./port.ts";
import type { SetEntry } from "./reader.ts";
import { makeWork } from "./work.ts";

/** How a file is looked at. */
export interface Look {
  /** Compare digests. */
  hashes: boolean;
  /** Read it by its engine's rules and compare the counts of its part; undefined: not asked for. */
  parse?: { parse: ParseFile; part: PartMetadata; scratchParent: string } | undefined;
}

export interface FileFindings {
  /** What is wrong, a sentence each. */
  problems: string[];
  /** Counts that were the same, when it was parsed. */
  compared: number;
}

/**
 * Reads an entry to its end, once.
 * @throws Damaged where its bytes cannot be read on; OpsError of the parser for what is not the file's fault (a missing tool)
 */
export async function checkFile(
  call: Call,
  entry: SetEntry,
  expected: FileMetadata,
  { hashes, parse }: Look,
): Promise<FileFindings> {
  const hash = createHash("sha256");
  let size = 0;
  let failure: unknown;
  async function* counted() {
    try {
      for await (const chunk of entry.content) {
        size += chunk.length;
        if (hashes) hash.update(chunk);
        yield chunk;
      }
    } catch (error) {
      failure = error;
      throw error;
    }
  }
  const content = counted();
  const findings = parse ? await parsed(call, entry, expected, content, parse) : NOTHING;
  // the parser may have made its own of it
  if (failure) throw failure;
  for await (const _ of content) {
    // what the parser left
  }
  const problems = [...findings.problems];
  if (size !== expected.size_bytes)
    problems.unshift(`it has ${size} bytes, and the metadata says ${expected.size_bytes}`);
  else if (hashes && hash.digest("hex") !== expected.sha256)
    problems.unshift("its SHA-256 is not that of the metadata: its bytes were changed");
  return { problems, compared: findings.compared };
}

const NOTHING: FileFindings = { problems: [], compared: 0 };

async function parsed(
  call: Call,
  { path, size_bytes }: SetEntry,
  { kind }: FileMetadata,
  content: AsyncGenerator<Uint8Array>,
  { parse, part, scratchParent }: NonNullable<Look["parse"]>,
): Promise<FileFindings> {
  const scratch = await makeWork(scratchParent);
  // a parser that stops early must not end the stream: the rest is hashed all the same
  const once = { [Symbol.asyncIterator]: () => ({ next: () => content.next() }) };
  try {
    const found = await parse(call, { path, kind, size_bytes, content: once, scratch });
    const problems = [
      ...differences(found.counts, part.counts),
      ...differences(found.breakdown, part.breakdown),
    ];
    const compared = common(found.counts, part.counts) + common(found.breakdown, part.breakdown);
    return { problems, compared };
  } catch (error) {
    throwIfAborted(call);
    if (!(error instanceof OpsError) || error.code !== "integrity") throw error;
    return { problems: [error.message], compared: 0 };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
