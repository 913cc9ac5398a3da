/**
 * SHA-256 of a text, hexadecimal. Loading `node:crypto` takes as long as a third of a bare start of Node, so it is loaded by the
 * first hash and not by every command that could make one.
 */
export function sha256(text: string): string {
  return process.getBuiltinModule("node:crypto").hash("sha256", text, "hex");
}
