import { sha256 } from "../hash.ts";

/**
 * Id of a record made from its text: UUIDv8 (RFC 9562) from SHA-256 of namespace, key, content and details, so that two hosts
 * that store the same text agree on it.
 */
export function recordId(namespace: string, key: string, content: string, details: string | null): string {
  return uuidFromHex(sha256(JSON.stringify([namespace, key, content, details])), "8");
}

/** Id of an event that nobody named: UUIDv7 (RFC 9562), time-ordered. */
export function newEventId(now: number): string {
  const random = process.getBuiltinModule("node:crypto").randomBytes(10).toString("hex");
  return uuidFromHex(now.toString(16).padStart(12, "0") + random, "7");
}

/** Id of an imported event that brings none: from its line, so that importing the line again finds it there. */
export function lineEventId(line: string): string {
  return uuidFromHex(sha256(line), "8");
}

/** 128 bits of SHA-256 over a JSON value, 32 hex digits. */
export function digestOf(value: unknown): string {
  return sha256(JSON.stringify(value)).slice(0, 32);
}

/** Sets version and variant (10) in 128 bits given as at least 32 hex digits. */
function uuidFromHex(hex: string, version: "7" | "8"): string {
  const variant = ((Number.parseInt(hex[16]!, 16) & 0x3) | 0x8).toString(16);
  return (
    `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${version}${hex.slice(13, 16)}-` +
    `${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  );
}
