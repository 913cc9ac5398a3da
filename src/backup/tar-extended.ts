/**
 * What a tar says of its next entry beside that entry's header: a header of POSIX (pax, types x and g), a long name of GNU (type L). Names and sizes
 * count and nothing else does; what programs read in different ways (a keyword twice, a size beside another size) is refused.
 */

/** Of the content of one such header: programs write some hundred bytes. */
export const MAX_EXTENDED_BYTES = 64 * 1024;

/** What replaces fields of the header that follows. */
export interface Extended {
  path?: string;
  size_bytes?: number;
}

/** What is wrong with such a header, for a message that names its place. */
export class BadExtension extends Error {}

const LINE_BREAK = 10;
const MAX_LENGTH_DIGITS = 6;

/**
 * The header of one entry (type x): records `LENGTH KEYWORD=VALUE\n`, where the length is that of the whole record.
 * @throws BadExtension
 */
export function paxOf(content: Buffer): Extended {
  const found: Extended = {};
  for (const [keyword, value] of recordsOf(content)) {
    if (keyword === "linkpath") throw new BadExtension("an entry is a link; a set holds files only");
    if (keyword.startsWith("GNU.sparse"))
      throw new BadExtension("an entry is a sparse file; pack it without --sparse");
    if (keyword === "path") found.path = nameOf(value);
    if (keyword === "size") found.size_bytes = sizeOf(value);
  }
  return found;
}

const OF_ONE_ENTRY = new Set(["path", "linkpath", "size"]);

/** The header of all entries (type g): a comment, times. @throws BadExtension for what would be one name or size for all of them */
export function requireHarmless(content: Buffer): void {
  for (const [keyword] of recordsOf(content))
    if (OF_ONE_ENTRY.has(keyword) || keyword.startsWith("GNU."))
      throw new BadExtension(`a header for all entries sets their ${keyword}`);
}

/** The name in a header of type L, which ends with a NUL. @throws BadExtension */
export function longNameOf(content: Buffer): Extended {
  const end = content.indexOf(0);
  if (end < 0 || content.subarray(end).some((byte) => byte !== 0))
    throw new BadExtension("a long name does not end where its header says");
  return { path: nameOf(content.subarray(0, end)) };
}

function recordsOf(content: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < content.length; ) {
    const blank = content.subarray(at, at + MAX_LENGTH_DIGITS + 1).indexOf(" ");
    const digits = content.toString("latin1", at, at + Math.max(blank, 0));
    const end = at + Number(digits);
    const equals = content.indexOf("=", at);
    if (
      !/^[1-9]\d*$/.test(digits) ||
      end > content.length ||
      content[end - 1] !== LINE_BREAK ||
      equals <= at + blank + 1 ||
      equals >= end
    )
      throw new BadExtension("a record of an extended header has a length that cannot be");
    const keyword = content.toString("latin1", at + blank + 1, equals);
    if (records.has(keyword))
      throw new BadExtension(`an extended header says ${JSON.stringify(keyword)} twice`);
    records.set(keyword, content.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

function nameOf(value: Buffer): string {
  const name = utf8(value);
  if (!name) throw new BadExtension("a long path is empty, or is not UTF-8");
  return name;
}

function sizeOf(value: Buffer): number {
  const text = value.toString("latin1");
  const size = Number(text);
  if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(size))
    throw new BadExtension("an extended header has a size that cannot be");
  return size;
}

/** Undefined: it is none. */
export function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
