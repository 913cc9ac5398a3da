/**
 * SHA-256 of a text, hexadecimal. Loading `node:crypto` takes 7 ms, a bare start of Node 26 ms: it is loaded by the
 * first hash and not by every command that could make one.
 */
export function sha256(text: string): string {
  return process.getBuiltinModule("node:crypto").hash("sha256", text, "hex");
}
