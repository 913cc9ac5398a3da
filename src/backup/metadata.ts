/** What a set says of itself: `metadata.json` inside of it, and the sidecar `NAME.json` beside it, which has the digest of the whole. */
import * as v from "valibot";
import { count, engine, errorCode, milliseconds, nullableText, text, time } from "../contract/common.ts";
import { OpsError } from "../errors.ts";
import { FILE_KINDS } from "./port.ts";

export const FORMAT = "opsctl-backup";
/** Raised when an older opsctl could not read or restore what a newer one wrote. Fields are only ever added. */
export const FORMAT_VERSION = 1;
/** In the set's folder. */
export const METADATA_FILE = "metadata.json";

/** What the archive is: a folder in a compressed tar, a plain folder, or one file of one engine alone. */
export const CONTAINERS = ["tar.gz", "tar.zst", "dir", "file"] as const;
export type Container = (typeof CONTAINERS)[number];

/**
 * How far an archive was looked at, each level holding those before it. `structure`: the entries are those of the metadata. `checksums`: every
 * byte of every file has its digest. `parse`: every file was read by its engine's rules and holds the counts of the metadata. `drill`: it was
 * restored.
 */
export const LEVELS = ["structure", "checksums", "parse", "drill"] as const;
export type Level = (typeof LEVELS)[number];

const sha256 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
const amounts = v.record(text, count);
const consistency = v.picklist(["consistent", "fuzzy"]);
const state = v.picklist(["complete", "incomplete"]);
const identity = v.record(text, v.nullable(v.union([text, v.number(), v.boolean()])));

export const partSchema = v.object({
  engine,
  name: text,
  source: text,
  state: v.picklist(["complete", "failed"]),
  /** Why it failed. */
  error: v.nullable(v.object({ code: errorCode, message: text })),
  /** Null: it failed. */
  consistency: v.nullable(consistency),
  reason: nullableText,
  started_at: time,
  snapshot_at: v.nullable(time),
  finished_at: time,
  /** How the engine names what the part shows: snapshot and LSN, replid and offset, bookmarks. */
  snapshot: identity,
  server_version: nullableText,
  tools: v.array(v.object({ name: text, version: text })),
  counts: amounts,
  breakdown: amounts,
  /** Paths in the set. */
  files: v.array(text),
  notes: v.array(text),
});
export type PartMetadata = v.InferOutput<typeof partSchema>;

const fileSchema = v.object({
  path: text,
  kind: v.picklist(FILE_KINDS),
  size_bytes: count,
  sha256,
});
export type FileMetadata = v.InferOutput<typeof fileSchema>;

export const metadataSchema = v.object({
  format: v.literal(FORMAT),
  format_version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  id: text,
  name: text,
  /** Orders the archives of a folder: clocks go back, this does not. */
  sequence: count,
  /** `incomplete`: a part failed. */
  state,
  /** Of the weakest part that was copied. */
  consistency,
  /** Between the first and the last snapshot. Null with less than two. */
  skew_ms: v.nullable(milliseconds),
  started_at: time,
  finished_at: time,
  opsctl_version: text,
  /** `user@host`. */
  actor: text,
  parts: v.array(partSchema),
  files: v.array(fileSchema),
});
export type Metadata = v.InferOutput<typeof metadataSchema>;

export const verifiedSchema = v.object({
  level: v.picklist(LEVELS),
  at: time,
  opsctl_version: text,
});
export type Verified = v.InferOutput<typeof verifiedSchema>;

export const drillSchema = v.object({
  /** When the last one ended. */
  at: time,
  /** No part is damaged. */
  ok: v.boolean(),
  /** Of all these parts side by side, with taking the archive apart. */
  duration_ms: milliseconds,
  opsctl_version: text,
  /** Those that were drilled, each as its last drill found it. */
  parts: v.array(
    v.object({
      engine,
      name: text,
      /** When that was; absent: `at` of them all. */
      at: v.optional(time),
      /** False: its files were read to their end, and no server loaded them. */
      loaded: v.boolean(),
      ok: v.boolean(),
      duration_ms: milliseconds,
      /** The first thing that is wrong; null: nothing is. */
      message: nullableText,
    }),
  ),
});
export type DrillRecord = v.InferOutput<typeof drillSchema>;

const sidecarSchema = v.object({
  format: v.literal(FORMAT),
  format_version: v.pipe(v.number(), v.integer(), v.minValue(1)),
  /** Name of the archive, in the sidecar's folder. */
  file: text,
  container: v.picklist(CONTAINERS),
  /** It is encrypted with age: its content cannot be looked at without a key. */
  encrypted: v.boolean(),
  /** Of the archive; of a folder, the sum of its files. */
  size_bytes: count,
  /** Of the archive; of a folder, that of its `metadata.json`. */
  sha256,
  /** HMAC-SHA-256 with OPSCTL_BACKUP_SIGNING_KEY over `sha256`; null: not signed. */
  signature: v.nullable(sha256),
  /** The highest level that was reached; null: not looked at yet. */
  verified: v.nullable(verifiedSchema),
  /** The last look at it that found damage, and how close it was; null: none, or a later one of that level found none. */
  damaged: v.nullable(v.object({ at: time, level: v.picklist(LEVELS), message: text })),
  /** What drills found, of all of it or of some parts; absent: none came to a verdict. */
  drill: v.optional(drillSchema),
  metadata: metadataSchema,
});
export type Sidecar = v.InferOutput<typeof sidecarSchema>;

/** @throws OpsError `integrity` for what is no metadata, `failed` for that of a newer opsctl */
export function parseMetadata(content: string, where: string): Metadata {
  return consistent(parse(metadataSchema, content, where), where);
}

/** @throws as `parseMetadata` */
export function parseSidecar(content: string, where: string): Sidecar {
  const sidecar = parse(sidecarSchema, content, where);
  consistent(sidecar.metadata, where);
  return sidecar;
}

/** A set that calls itself complete and holds nothing must not pass as a backup. */
function consistent(metadata: Metadata, where: string): Metadata {
  const { state, parts, files } = metadata;
  const paths = files.map(({ path }) => path);
  const claimed = parts.flatMap((part) => part.files);
  const isWhole = parts.length > 0 && parts.every((part) => part.state === "complete");
  const isOdd = ({ state, error, files }: PartMetadata) =>
    state === "failed" ? error === null || files.length > 0 : error !== null || files.length === 0;
  const contradictions: [boolean, string][] = [
    [new Set(paths).size < paths.length, "a file is twice in it"],
    [new Set(claimed).size < claimed.length, "a file belongs to two parts"],
    [claimed.some((path) => !paths.includes(path)), "a part names a file that is not listed"],
    [claimed.length < paths.length, "a file belongs to no part"],
    [parts.some(isOdd), "a part is whole without files, or failed with some"],
    [(state === "complete") !== isWhole, "its state is not that of its parts"],
  ];
  const found = contradictions.find(([isThere]) => isThere);
  if (!found) return metadata;
  throw new OpsError({ code: "integrity", message: `${where} contradicts itself: ${found[1]}` });
}

function parse<T>(schema: v.GenericSchema<unknown, T>, content: string, where: string): T {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch {
    throw new OpsError({ code: "integrity", message: `${where} is no JSON: it is damaged` });
  }
  const { format, format_version: version } = (json ?? {}) as Record<string, unknown>;
  if (format === FORMAT && typeof version === "number" && version > FORMAT_VERSION) {
    throw new OpsError({
      code: "failed",
      message: `${where} has format version ${version}, and this opsctl knows ${FORMAT_VERSION}`,
      hint: "use the opsctl that made it, or a newer one",
    });
  }
  const parsed = v.safeParse(schema, json);
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const field = v.getDotPath(issue) ?? "it";
  throw new OpsError({
    code: "integrity",
    message: `${where}: ${field} is not as it must be: ${issue.message}`,
  });
}
