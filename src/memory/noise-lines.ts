/** Lines of a log or a stack trace, and which of them tell something. */

/**
 * `head`: what went wrong (error class, message, a level of error); `own`: a frame of one's own code; `plain`: anything else;
 * `quiet`: a line of a level below warning; `framework`: a frame of a library or a runtime.
 */
export type LineKind = "head" | "plain" | "own" | "quiet" | "framework";

/** What is read of a text: its start, where the command stands, and more of its end, where the error stands. */
const HEAD = { characters: 100_000, lines: 2_000 };
const TAIL = { characters: 200_000, lines: 4_000 };
/** Characters of a line that are read: a program that logs all in one line. */
const LINE_CHARACTERS = 20_000;
/** Characters of a line that say what kind it is. */
const KIND_CHARACTERS = 500;

interface Lines {
  /** Lines that are not blank. */
  lines: string[];
  /** UTF-8 bytes of the text that are in no line, line ends not counted when everything was read. */
  skippedBytes: number;
}

/** The lines of a text; of a long one the first and the last, so that the work is bounded whatever comes. */
export function readLines(text: string): Lines {
  const { lines, end } = linesFrom(text, 0, text.length, HEAD);
  if (end >= text.length) return { lines, skippedBytes: 0 };
  const start = Math.max(end, text.length - TAIL.characters);
  const rest = linesFrom(text, start, text.length, {
    characters: TAIL.characters,
    lines: Number.POSITIVE_INFINITY,
  }).lines;
  const all = [...lines, ...rest.slice(-TAIL.lines)];
  const isWhole = start === end && rest.length <= TAIL.lines;
  return { lines: all, skippedBytes: isWhole ? 0 : skipped(text, all) };
}

/** Lines that are not blank from `start` on, until one of the limits is reached. `end`: where the reading ended. */
function linesFrom(
  text: string,
  start: number,
  end: number,
  limit: { characters: number; lines: number },
): { lines: string[]; end: number } {
  const last = Math.min(end, start + limit.characters);
  const lines: string[] = [];
  let from = start;
  while (from < last && lines.length < limit.lines) {
    const next = text.indexOf("\n", from);
    const to = next < 0 || next > last ? last : next;
    if (to > from) {
      const line = text.slice(from, to).slice(0, LINE_CHARACTERS);
      if (/\S/.test(line)) lines.push(line);
    }
    from = to + 1;
  }
  return { lines, end: Math.min(from, end) };
}

function skipped(text: string, kept: readonly string[]): number {
  const bytes = kept.reduce((left, line) => left - Buffer.byteLength(line) - 1, Buffer.byteLength(text));
  return Math.max(0, bytes);
}

const FRAMES = [
  // Java, JavaScript, .NET, Rust's places
  "at (?:[\\w$.<>`\\[\\]/@\\\\:-]|async |new )",
  // Python
  'File "',
  // Ruby
  "(?:from )?[^\\s:]{1,200}:\\d{1,7}:in [`']",
  // PHP, gdb
  "#\\d{1,4} +(?:0x|/|\\{main\\}|[A-Za-z_\\\\]{1,80}(?:::|->|\\())",
  // Go: place, function, what started it
  "/?[^\\s:]{1,200}\\.go:\\d{1,7}(?: \\+0x|$)",
  "[\\w./*()-]{1,200}\\((?:0x|\\{0x|\\.\\.\\.)",
  "created by |goroutine \\d",
  // Rust's functions
  "\\d{1,4}: {1,8}(?:0x[0-9a-f]{1,16} - )?[\\w<]{1,80}::",
  // Linux: a kernel's call trace
  "(?:\\[[ \\d.]{1,20}\\] )?(?:\\? )?\\w{1,80}\\+0x",
  // Java: what was left out
  "\\.\\.\\. \\d{1,5} (?:more|common)",
];
const FRAME = new RegExp(`^\\s{0,40}(?:${FRAMES.join("|")})`);
const FRAMEWORKS = [
  "node_modules|site-packages|dist-packages|[( ]node:|[( ]internal/|/lib/python|lib/ruby|/gems/|/vendor/|vendor\\\\|/rustc/|/cargo/registry|/go/pkg/mod|/usr/local/go|/usr/lib",
  "at (?:java|javax|jdk|sun|jakarta|kotlin|scala|reactor|clojure|System|Microsoft|Npgsql|MySql|StackExchange)[.]",
  "(?:java\\.base/|org\\.(?:springframework|apache|hibernate|eclipse|junit|postgresql|jboss|mongodb|redisson|neo4j|jooq|quartz|gradle|elasticsearch)|com\\.(?:zaxxer|mysql|sun|fasterxml|google|datastax|rabbitmq|mongodb|microsoft|amazonaws)|io\\.(?:netty|lettuce|grpc|undertow|micrometer|quarkus|vertx|projectreactor|reactivex)|redis\\.clients)\\.",
  "\\b(?:std|core|tokio|hyper|alloc|actix_web|sqlx|diesel|rust_begin_unwind|__libc\\w{0,30})(?:::|\\b$)|(?:^|\\s)(?:runtime|net/http|database/sql|reflect|sync|testing)[./]",
  "Illuminate\\\\|Symfony\\\\|Doctrine\\\\|\\{main\\}|goroutine |created by |\\.\\.\\. \\d|\\+0x[0-9a-f]{1,5}/0x",
];
const FRAMEWORK = new RegExp(FRAMEWORKS.join("|"));

/** The first level that a line names decides. Groups: below warning, error and above. */
const LEVEL =
  /\b(?:(INFO|DEBUG|TRACE|NOTICE|VERBOSE|FINE|LOG(?=: ))|(ERROR|FATAL|CRITICAL|SEVERE|PANIC|EMERG(?:ENCY)?|ERR)|WARN(?:ING)?)\b|\[(?:(info|debug|notice|trace)|(error|crit|alert|emerg|fatal)|warn(?:ing)?)\]|\blevel["']?[=:] ?["']?(?:(info|debug|trace)|(error|fatal|panic|critical)|warn)/;
const LEVEL_CHARACTERS = 160;
/** glog and klog write the level as the first letter. */
const GLOG = /^([IWEF])[01]\d[0-3]\d \d\d:/;
/** A request that was answered; a notice of Redis; an event of Kubernetes. */
const NOTICE = /^\d{1,4}[smhd] +Normal |" [123]\d\d (?:\d|-)|^\d{1,7}:[XCSM] [\w :.]{12,30} [*.-] /;
const TELLING = [
  // a class and its message, as Python ends a traceback; a level of .NET
  "^(?:[a-z_]\\w{0,60}\\.){1,8}[A-Z]\\w{2,80}(?:: |$)|^(?:fail|crit): ",
  "(?:Error|Exception|Failure|Fault)\\b",
  "\\b(?:Caused by|panic|panicked|SQLSTATE|segfault|BUG|SIG[A-Z]{3,5}|E[A-Z]{4,14})\\b|\\b(?:error|fatal|ERR!|FAILED)(?:\\[\\w{1,10}\\])?:?(?= |$)",
  "\\b[A-Z]{2,6}-\\d{3,5}:|\\bexit(?:ed)? (?:with )?(?:code|status)\\b|\\b(?:Failed|OOMKilled|BackOff)[A-Z]?\\w{0,20}\\b",
  "\\b(?:fail(?:ed|ure|s)|refused|denied|reject(?:ed|s)|abort(?:ed|ing)|missed|exceed(?:ed|s)|exhausted|conflict(?:s|ing)?|mismatch|corrupt(?:ed|ion)?|violat(?:es|ion)|unexpected|unreachable|invalid|deadlock|killed|cannot|can't|unable to|could not|not found|no such|timed out|out of memory|oom-killer|too (?:many|big|large|long)|Killed|Cannot|Can't|Unable to|Could not|No such|Out of memory)\\b",
];
const TELLS = new RegExp(TELLING.join("|"));
const TIMESTAMP =
  /^(?:\d{1,7}:[XCSM] )?\W{0,3}(?:\d{4}[-/]\d\d[-/]\d\d[T_ ]\d\d:\d\d|(?:[A-Z][a-z]{2} )?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d\d?[ /-][A-Z][a-z]{2}[ /-]\d{4}|\d\d:\d\d:\d\d\b|\d{10,13}\b)/;

/** Lines of compilers, Terraform's boxes, npm, Kubernetes' events. */
const OF_A_TOOL =
  /:\d{1,7}:\d{1,5}: (?:fatal )?(?:error|warning): |^[│╷]|^npm ERR!|^\d{1,4}[smhd] +(?:Normal|Warning) /;

/** What kind of line it is. */
export function kindOf(line: string): LineKind {
  const start = line.slice(0, KIND_CHARACTERS);
  if (FRAME.test(start)) return FRAMEWORK.test(start) ? "framework" : "own";
  const level = levelOf(start);
  if (level === "quiet" || NOTICE.test(start)) return "quiet";
  return level === "error" || TELLS.test(start) ? "head" : "plain";
}

/** A line as only logs and stack traces have them. */
export function looksLogged(line: string, kind: LineKind): boolean {
  if (kind === "own" || kind === "framework") return true;
  const start = line.slice(0, LEVEL_CHARACTERS);
  return (
    TIMESTAMP.test(start) ||
    OF_A_TOOL.test(line.slice(0, KIND_CHARACTERS)) ||
    GLOG.test(start) ||
    levelOf(start) !== undefined
  );
}

function levelOf(start: string): "quiet" | "warning" | "error" | undefined {
  const glog = GLOG.exec(start)?.[1];
  if (glog !== undefined) return glog === "I" ? "quiet" : glog === "W" ? "warning" : "error";
  const level = LEVEL.exec(start.slice(0, LEVEL_CHARACTERS));
  if (!level) return undefined;
  if (level[1] ?? level[3] ?? level[5]) return "quiet";
  return (level[2] ?? level[4] ?? level[6]) ? "error" : "warning";
}
