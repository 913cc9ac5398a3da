import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Call } from "../call.ts";
import type { Pack } from "./compress.ts";
import type { PartMetadata } from "./metadata.ts";
import { copyParts, type PartsOptions, startParts } from "./phases.ts";

const KEPT = new Uint8Array();
/** What is read is counted, and nothing of it is kept. */
const countOnly: Pack = async () => KEPT;

/**
 * What a backup would hold now. It reads everything that a backup reads, since counts that are not of one snapshot could not be compared; files of
 * SQLite are copied below TMPDIR for that.
 * @throws OpsError when no part could be read, or the call ends
 */
export async function countLive(
  call: Call,
  options: Pick<PartsOptions, "parts" | "stallMs" | "ownSettings">,
): Promise<PartMetadata[]> {
  if (options.parts.length === 0) return [];
  const work = await mkdtemp(join(tmpdir(), "opsctl-live-"));
  const disk = new AbortController();
  const runs = startParts(call, { ...options, wants: () => true, pack: countOnly, work, disk });
  try {
    await copyParts(call, runs, async () => {});
    return runs.map((run) => run.metadata());
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
