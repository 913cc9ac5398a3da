import type { Archive } from "../backup/archives.ts";
import type { Metadata, PartMetadata } from "../backup/metadata.ts";
import type { Call } from "../call.ts";
import { type EngineName, OpsError } from "../errors.ts";
import type { RestoreFile } from "./port.ts";

export interface StageOptions {
  /** The files go there: a private folder, which the caller removes. */
  folder: string;
  /** Only parts of these engines are taken out; the whole archive is read and compared all the same. Undefined: all. */
  engines?: readonly EngineName[] | undefined;
  /** Kinds that are not needed when another of the same part is there stay in the archive (the plain dump beside the custom one). */
  /** age identities; undefined: an encrypted archive is refused. */
  identity?: string | undefined;
  signingKey?: string | undefined;
  /** Whether this host made an archive with that digest. */
  knows(sha256: string): Promise<boolean>;
  /** `--trust-archive`. */
  trust: boolean;
}

export interface StagedPart {
  part: PartMetadata;
  files: RestoreFile[];
}

/** A set out of its container: every byte of the archive was read, and is what the metadata says. */
export interface StagedSet {
  archive: Archive;
  /** Of a foreign archive, what was found in it: no counts, no digests that anybody promised. */
  metadata: Metadata;
  isForeign: boolean;
  /** As in the sidecar: of the archive, of a folder that of its `metadata.json`. */
  sha256: string;
  /** Who says that it is ours. */
  trusted: "catalogue" | "signature" | "operator";
  /** Whole parts of the engines that were asked for. */
  parts: StagedPart[];
  notes: string[];
}

/**
 * Takes an archive apart into `folder`, in one pass.
 * @throws OpsError `integrity` for what is damaged, hostile or not signed with our key (nothing outside of `folder` was written then), `usage`
 *   for an archive of unknown origin without `trust`, and for an encrypted one without identity; `failed` for too little room
 */
export async function stageSet(_call: Call, _archive: Archive, _options: StageOptions): Promise<StagedSet> {
  throw new OpsError({ code: "failed", message: "stageSet is not written yet" });
}
