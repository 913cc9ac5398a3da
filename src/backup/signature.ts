/**
 * Whether an archive is ours: who can write to the folder can change an archive and its digests together, but not make the keyed digest of it. What
 * is signed is the digest of the whole (of a folder that of its metadata, which has those of its files).
 */
import { createHmac, timingSafeEqual } from "node:crypto";
import { usageError } from "../errors.ts";

/** A shorter key can be found by trying. */
const MIN_KEY_CHARS = 32;
/** Keeps the key from signing something else. */
const PURPOSE = "opsctl backup archive, version 1\n";

/** HMAC-SHA-256 (RFC 2104) in hex. @throws OpsError `usage` for a key of less than 32 characters */
export function sign(key: string, sha256: string): string {
  if (key.length < MIN_KEY_CHARS)
    throw usageError(
      `OPSCTL_BACKUP_SIGNING_KEY has less than ${MIN_KEY_CHARS} characters`,
      "make one with: openssl rand -hex 32",
    );
  return createHmac("sha256", key).update(`${PURPOSE}${sha256}`).digest("hex");
}

/** Whether the key made the signature. @throws as `sign` */
export function isSignedBy(key: string, sha256: string, signature: string): boolean {
  const [ours, theirs] = [Buffer.from(sign(key, sha256)), Buffer.from(signature)];
  return ours.length === theirs.length && timingSafeEqual(ours, theirs);
}
