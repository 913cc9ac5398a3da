/** The headers of a tar archive, as GNU tar, bsdtar and busybox read them. */
import { Header } from "tar";

const BLOCK = 512;
/** The end of an archive: two empty blocks. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

/**
 * The header of a file or folder. Sizes from 8 GiB on are written in base 256 (GNU's and POSIX pax readers know it).
 * @param path at most 255 bytes; up to 100 of them after some slash
 * @param time ms
 */
export function tarHeader(path: string, size: number, time: number, type: "File" | "Directory"): Buffer {
  const block = Buffer.alloc(BLOCK);
  const header = new Header({
    path,
    size,
    mode: type === "File" ? 0o600 : 0o700,
    mtime: new Date(Math.floor(time / 1000) * 1000),
    uid: 0,
    gid: 0,
    type,
  });
  // true: something of it does not fit
  if (header.encode(block)) throw new Error(`the path ${path} is too long for a tar archive`);
  return block;
}

/** What fills the last block of a file. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}
