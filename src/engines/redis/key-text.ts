import { isUtf8 } from "node:buffer";
import { shownBytes } from "./migration-words.ts";

/** A key or a value as text: bytes that are no UTF-8 as redis-cli quotes them; cut to `most` characters. */
export function keyText(bytes: Buffer, most: number): string {
  const text = isUtf8(bytes) ? bytes.toString("utf8") : shownBytes(bytes, most);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
