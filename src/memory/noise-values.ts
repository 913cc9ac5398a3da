/** Values of a line that change from one occurrence of an error to the next. */
import { maskSpans } from "./noise-spans.ts";

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
/** The words before say that the number is a status of HTTP, a code of NVIDIA's driver, or a port that is not the client's. */
const BEFORE_STATUS = /\b(?:returned|returns|responded with|http)[:=]?\s{1,3}$/i;
const STATUS = /^["'(]?[1-5]\d\d(?!\d)/;
const BEFORE_XID = /\bXid \([^()]{1,30}\): $/;
const BEFORE_PORT = /(?<!\bfrom \S{1,45} )\bport:? $/i;
/** Characters before a number that say what it is. */
const BEFORE_CHARACTERS = 64;
/** HRESULT and NTSTATUS. */
const RESULT = /^["'(]?0x[0-9a-f]{8}(?![0-9a-z_])/i;
const BEFORE_RESULT = /(?:code|error|status|hresult|exception)[:=]?\s{1,3}$/i;
const VERSION = /^\(?v\d{1,4}(?:\.\d{1,6}){0,3}[).,:;]{0,3}$/;
const BEFORE_VERSION = /[A-Za-z]\s$/;
const NUMBER_ALONE = /^\d{1,40}$/;
const BARE_CODE = /^["'(]?[0-9]{1,5}[)"'.,:;]{0,3}$/;

const URL = /([A-Za-z][A-Za-z0-9+.-]{0,20}):\/\/([^\s/?#"'<>)\]},;]*)([^\s?#"'<>)\]},;]*)[^\s"'<>)\]},;]*/g;
const EMAIL = /(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,12}\b/g;
/** `git@host:owner/repository.git`. */
const GIT_REMOTE = /(?<![\w.+-])[\w.-]{1,64}@[\w.-]{1,128}:[\w./~+-]{1,200}\.git\b\/?/g;
const GIT_PATH = /^.{1,250}\.git(?![\w.-])\/?/;
const GIT_HOST = /(?:^|[@.])(?:github\.com|gitlab\.com|bitbucket\.org)(?::\d{1,5})?$/;
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
  // port=5432, below the ports of clients
  "[a-zA-Z]{0,12}[Pp]ort[\"']?[=:][\"']?(?:[12]\\d{4}|3[01]\\d{3}|\\d{1,4})(?![\\w.])",
  // 0x80070005: an HRESULT that says failure; any after the word
  "0x8[0-9a-fA-F]{7}(?![0-9a-zA-Z_])",
  "(?:[a-zA-Z]{0,12}[Cc]ode|[Ee]rror|[Ss]tatus|[Hh][Rr](?:ESULT|esult))[\"']?[=:(]{1,2}[\"']?0x[0-9a-fA-F]{8}(?![0-9a-zA-Z_])",
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
/** Pods whose hash or suffix has letters that Kubernetes leaves out, as those that were edited have. */
const POD_LIKE = "(?<=-)(?=[0-9a-z]{0,9}\\d)[0-9a-f]{8,10}-(?=[a-z]{0,4}\\d)[0-9a-z]{5}(?![A-Za-z0-9_])";
/** `u-1234-abc`: a letter and an id. */
const LETTER_ID = "(?<=(?<![A-Za-z0-9])[A-Za-z]-)\\d{2,20}(?:-[A-Za-z0-9]{2,12}){1,3}(?![A-Za-z0-9_])";
/** `lease_12`, but not `x86_64` or `utf_8`. */
const COUNTED = "(?<=(?<![A-Za-z0-9])[A-Za-z]{1,20}_)(?<!(?:utf|int|base|win)_)\\d{1,2}(?![A-Za-z0-9_])";
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
    POD_LIKE,
    LETTER_ID,
    COUNTED,
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
  const masked = maskPieces(
    maskSpans(line, PLACEHOLDER).replace(GLOG, PLACEHOLDER).replace(SPRING_PID, ` ${PLACEHOLDER} `),
  );
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
      const value = isCode(line, start, piece) ? piece : maskPiece(piece);
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

/** A number that tells one error from another, as what stands before it says. */
function isCode(line: string, start: number, piece: string): boolean {
  if (piece.length > 20) return false;
  const before = line.slice(Math.max(0, start - BEFORE_CHARACTERS), start);
  if (RESULT.test(piece)) return BEFORE_RESULT.test(before);
  if (VERSION.test(piece)) return BEFORE_VERSION.test(before);
  if (!BARE_CODE.test(piece)) return false;
  if (STATUS.test(piece) && BEFORE_STATUS.test(before)) return true;
  if (BEFORE_PORT.test(before)) return Number(piece.replace(/\D/g, "")) < FIRST_EPHEMERAL_PORT;
  return BEFORE_CODE.test(before) || BEFORE_XID.test(before);
}

function maskPiece(piece: string): string {
  if (NUMBER_ALONE.test(piece)) return PLACEHOLDER;
  let text = piece;
  if (text.includes("://")) text = text.replace(URL, maskUrl);
  else if (text.includes("@"))
    text = text.replace(GIT_REMOTE, `${PLACEHOLDER}.git`).replace(EMAIL, PLACEHOLDER);
  if (text.includes("/") || text.includes("\\")) text = text.replace(FOLDERS, `${PLACEHOLDER}/`);
  return text.replace(VALUES, maskValue);
}

/** Scheme and path tell what was called, but for owner and name of a repository; a file's folders are masked as those of any path. */
function maskUrl(_: string, scheme: string, host: string, path: string): string {
  if (GIT_PATH.test(path)) return `${scheme}:${PLACEHOLDER}${path.replace(GIT_PATH, ".git")}`;
  if (GIT_HOST.test(host))
    return `${scheme}:${PLACEHOLDER}${path.replace(/^\/[^/]{1,100}\/[^/]{1,100}/, "/.git")}`;
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
