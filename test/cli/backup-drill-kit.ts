/** Archives that are silently damaged: their content is wrong, and every checksum is right. */
import { createHash } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sidecarPath } from "../../src/backup/archives.ts";
import type { Metadata } from "../../src/backup/metadata.ts";
import { sidecarOf } from "../support/backup.ts";
import type { Sandbox } from "../support/cli.ts";

const sha256 = (content: Uint8Array) => createHash("sha256").update(content).digest("hex");

/**
 * Changes a file of an archive (a plain folder), and makes all digests anew: as a defect of whoever wrote the archive would have it.
 * @param change of the file, where it lies
 */
export async function damage(
  archive: string,
  pattern: RegExp,
  change: (file: string) => void | Promise<void>,
  claim: (metadata: Metadata) => void = () => {},
): Promise<void> {
  const sidecar = sidecarOf(archive);
  const { metadata } = sidecar;
  const found = metadata.files.filter(({ path }) => pattern.test(path));
  if (found.length !== 1) throw new Error(`${found.length} files of ${archive} match ${pattern}`);
  const [entry] = found;
  const file = join(archive, entry!.path);
  await change(file);
  const before = entry!.size_bytes + statSync(join(archive, "metadata.json")).size;
  const content = readFileSync(file);
  Object.assign(entry!, { size_bytes: content.length, sha256: sha256(content) });
  claim(metadata);
  const text = `${JSON.stringify(metadata, null, 2)}\n`;
  writeFileSync(join(archive, "metadata.json"), text);
  sidecar.sha256 = sha256(Buffer.from(text));
  sidecar.size_bytes += content.length + Buffer.byteLength(text) - before;
  writeFileSync(sidecarPath(archive), JSON.stringify(sidecar));
}

/** All bytes have their digests: `backup verify` finds nothing. */
export function passesChecksums(box: Sandbox, archive: string): Promise<string> {
  return box.ok(["backup", "verify", archive]);
}
