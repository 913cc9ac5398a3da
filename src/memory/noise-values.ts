/** Values of a line that change from one occurrence of an error to the next. */

/** Stands for a value. No word holds it, so that what is masked gives no terms. */
export const PLACEHOLDER = "#";

/** A line without any of these holds no value. */
const MAYBE_VALUE = /[0-9@\\/]/;
/** Expressions see pieces without white space of at most this many characters: their work stays linear whatever comes. */
const PIECE_CHARACTERS = 256;

const MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}";
/** What is left of a date in words, once its numbers are masked: `Nov # #`, `Mon, # Jan # UTC`. */
const DATE_WORDS = new RegExp(
  `\\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? {1,2})?(?:# )?${MONTH} {1,2}#|(?<=#) (?:UTC|GMT|CES?T|[EP][SD]T|AM|PM)\\b`,
  "g",
);
/** `E0115 10:23:45.123456`: level, month and day of glog and klog. */
const GLOG = /^[IWEF][01]\d[0-3]\d(?= \d\d:)/;
/** The process id of Spring Boot: `ERROR 4711 --- [main]`. */
const SPRING_PID = / \d{1,7} --- /;

/** The word before says that the number is a code. */
const BEFORE_CODE =
  /(?:\b|(?:exit|status|error|return|response))(?:code|status|errno|exit|exited|signal|sqlstate|error|http\/\d(?:\.\d)?"?)[:=]?\s{1,3}$/i;
const NUMBER_ALONE = /^\d{1,40}$/;
const BARE_CODE = /^["'(]?[0-9]{1,5}[)"'.,:;]{0,3}$/;

const URL = /([A-Za-z][A-Za-z0-9+.-]{0,20}):\/\/([^\s/?#"'<>)\]},;]*)([^\s?#"'<>)\]},;]*)[^\s"'<>)\]},;]*/g;
const EMAIL = /(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,12}\b/g;
/** Folders of an absolute path; the base name stays. */
const FOLDERS = /(?<![\w.\])#*])(?:[A-Za-z]:)?[\\/]{1,2}(?:[\w.@+~%$-]{1,128}[\\/]{1,2}){1,40}/g;

/** Codes that tell one error from another; never masked. */
const CODES = [
  // ORA-00942, E11000, TS2322, MSB3073, HY000
  "[A-Z]{1,12}-?\\d{2,6}(?![A-Za-z0-9_])",
  // SQLSTATE with a letter: 40P01, 0A000
  "(?=\\d{1,2}[A-Z])[0-9A-Z]{5}(?![A-Za-z0-9_])",
  // code=137, "status":502, (errno:111
  "(?:[a-zA-Z]{0,12}[Cc]ode|[Ss]tatus|[Ee]rrno|SQLSTATE|[Ss]ignal)[\"']?[=:([]{1,2}[\"']?\\d{1,5}(?![\\w.])",
];
const UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}";
/** RFC 3339 and its relatives, day/month/year, then a time alone. */
const TIMES = [
  "\\d{4}[-/.]\\d{2}[-/.]\\d{2}(?:[T_]\\d{2}:?\\d{2}(?::?\\d{2}(?:[.,]\\d{1,9})?)?)?(?:Z|[+-]\\d{2}:?\\d{2})?(?![A-Za-z0-9])",
  `\\d{1,2}[-/]${MONTH}[-/]\\d{2,4}(?::\\d{2}:\\d{2}:\\d{2})?`,
  "\\d{1,2}:\\d{2}:\\d{2}(?:[.,]\\d{1,9})?(?:Z|[+-]\\d{2}:?\\d{2})?(?![A-Za-z0-9:])",
];
/** IPv4 and this host, which is the same as any other, with the port. */
const ADDRESS =
  "((?:\\d{1,3}\\.){3}\\d{1,3}|localhost(?=:\\d)|::1(?!\\w|:[0-9a-f]*:))(?::(\\d{1,5})(?!\\d)|/\\d{1,2})?";
const MAC = "(?:[0-9a-fA-F]{2}-){5}[0-9a-fA-F]{2}(?![A-Za-z0-9])";
/** MAC addresses with colons look the same. */
const IPV6 = "(?=[0-9a-fA-F:]{0,40}\\d)(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\\w])";
const HEX = "0x[0-9a-fA-F]{1,64}";
/** Names that Kubernetes generates have an alphabet without vowels. */
const POD =
  "(?<=-)(?:[bcdf-hj-np-tv-xz24-9]{8,10}-[bcdf-hj-np-tv-xz24-9]{5}|(?=[a-z]{0,4}\\d)[bcdf-hj-np-tv-xz24-9]{5})(?![A-Za-z0-9_])";
const NUMBER =
  "[+-]?v?(?<!_)\\d+(?:[.,:]\\d+){0,8}(?:(?:[hms]|ms|us|µs|ns)\\d[\\dhmsu.]{0,20}s|[KMGT]i?B?|k?[bB]|ns|us|µs|ms|sec|min|[smhd]|%)?(?![A-Za-z0-9_])|(?<=_)\\d{3,}";
const VALUES = new RegExp(
  [
    `(?<![A-Za-z0-9])(?:(${CODES.join("|")})`,
    UUID,
    ...TIMES,
    ADDRESS,
    MAC,
    IPV6,
    HEX,
    POD,
    NUMBER,
    "([0-9A-Za-z]{7,256})(?![A-Za-z0-9_]))",
  ].join("|"),
  "g",
);
/** Ports from here on are given to clients by the system (Linux); those below name a service, so they stay. */
const FIRST_EPHEMERAL_PORT = 32_768;

/**
 * The line with placeholders for its values: times, addresses, ids, numbers, hosts of URLs, folders of absolute paths. The very same string when
 * it holds none. Codes of errors and ports of services stay.
 */
export function maskValues(line: string): string {
  if (!MAYBE_VALUE.test(line)) return line;
  const masked = maskPieces(line.replace(GLOG, PLACEHOLDER).replace(SPRING_PID, ` ${PLACEHOLDER} `));
  return masked === line ? line : masked.replace(DATE_WORDS, PLACEHOLDER);
}

/** Masks each piece between white space that may hold a value; a loop, because most hold none. */
function maskPieces(line: string): string {
  let masked = "";
  let copied = 0;
  let start = 0;
  let maybeValue = false;
  for (let index = 0; index <= line.length; index += 1) {
    const code = index < line.length ? line.charCodeAt(index) : 32;
    // digits, and / \ @
    if ((code >= 48 && code <= 57) || code === 47 || code === 92 || code === 64) maybeValue = true;
    if (code > 32 && index - start < PIECE_CHARACTERS) continue;
    if (maybeValue) {
      const piece = line.slice(start, index);
      const value = BARE_CODE.test(piece) && followsCode(line, start) ? piece : maskPiece(piece);
      if (value !== piece) {
        masked += line.slice(copied, start) + value;
        copied = index;
      }
    }
    start = code > 32 ? index : index + 1;
    maybeValue = code > 32 && MAYBE_VALUE.test(line[index]!);
  }
  return masked + line.slice(copied);
}

const followsCode = (line: string, start: number) =>
  BEFORE_CODE.test(line.slice(Math.max(0, start - 24), start));

function maskPiece(piece: string): string {
  if (NUMBER_ALONE.test(piece)) return PLACEHOLDER;
  let text = piece;
  if (text.includes("://")) text = text.replace(URL, maskUrl);
  else if (text.includes("@")) text = text.replace(EMAIL, PLACEHOLDER);
  if (text.includes("/") || text.includes("\\")) text = text.replace(FOLDERS, `${PLACEHOLDER}/`);
  return text.replace(VALUES, maskValue);
}

/** Scheme and path tell what was called; a file's folders are masked as those of any path. */
function maskUrl(_: string, scheme: string, _host: string, path: string): string {
  return scheme === "file" ? path : `${scheme}:${PLACEHOLDER}${path}`;
}

function maskValue(
  value: string,
  code: string | undefined,
  address: string | undefined,
  port: string | undefined,
  id: string | undefined,
): string {
  if (code !== undefined) return value;
  if (address !== undefined)
    return port !== undefined && Number(port) < FIRST_EPHEMERAL_PORT ? `${PLACEHOLDER}:${port}` : PLACEHOLDER;
  return id !== undefined && !isOpaque(id) ? value : PLACEHOLDER;
}

/** A number or a hexadecimal id (both with a digit), or letters and digits that change places as they do in no word. */
function isOpaque(id: string): boolean {
  if (/^[0-9a-fA-F]+$/.test(id)) return /\d/.test(id);
  const changes = id.match(/\d[A-Za-z]|[A-Za-z](?=\d)/g);
  return id.length >= 8 && changes !== null && changes.length >= 4;
}
