/**
 * Who says that an archive is ours. A dump is a program: it runs code as whoever restores it (CVE-2025-8714, CVE-2025-8715, CVE-2026-18408), so that
 * nothing of an archive reaches a program of a database before this is known.
 */
import { Damaged } from "../backup/damaged.ts";
import { isSignedBy } from "../backup/signature.ts";
import { type OpsError, usageError } from "../errors.ts";

/** `catalogue`: this host made it. `signature`: whoever made it has our key. `operator`: `--trust-archive`. */
export type Trust = "catalogue" | "signature" | "operator";

export interface TrustOptions {
  signingKey?: string | undefined;
  /** Whether this host made an archive with that digest. */
  knows(sha256: string): Promise<boolean>;
  /** `--trust-archive`. */
  trust: boolean;
}

/**
 * @param sha256 what the bytes have, or are compared with afterwards
 * @param signature of the sidecar; null: there is none
 * @returns undefined: nobody says so
 * @throws Damaged for a signature that the key did not make, whoever trusts the archive
 */
export async function trustOf(
  name: string,
  sha256: string,
  signature: string | null,
  { signingKey, knows, trust }: TrustOptions,
): Promise<Trust | undefined> {
  const isSigned = signingKey !== undefined && signature !== null;
  if (isSigned && !isSignedBy(signingKey, sha256, signature))
    throw new Damaged(
      name,
      "its signature was not made with OPSCTL_BACKUP_SIGNING_KEY: it was changed, or somebody else made it",
    );
  if (await knows(sha256)) return "catalogue";
  if (isSigned) return "signature";
  return trust ? "operator" : undefined;
}

/** For an archive that nobody vouches for. */
export function untrusted(name: string): OpsError {
  return usageError(
    `${name} is of unknown origin: this host did not make it, and no valid signature says who did. What is in a dump runs with the rights of whoever restores it`,
    "if you know where it comes from, give --trust-archive; archives that OPSCTL_BACKUP_SIGNING_KEY signed are trusted on every host that has the key",
  );
}
