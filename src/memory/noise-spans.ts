/** Values that white space goes through: headers of syslog, paths of Windows. */

const LEVELS = "(?:TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|FATAL|CRITICAL|SEVERE|PANIC)";
/** RFC 5424: `<34>1 time host program pid message-id -`. */
const SYSLOG = /^<\d{1,3}>\d{1,2} \S{1,48} \S{1,255} (\S{1,48}) \S{1,128} \S{1,32} (?:- )?/;
/** RFC 3164: `Nov  3 13:04:05 host program[pid]:`; with a time of RFC 3339 only when a process id proves that it is one. */
const BSD_SYSLOG = new RegExp(
  `^(?:<\\d{1,3}>)?(?:[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d(?= \\S{1,255} [^\\s\\[:]{1,80}(?:\\[\\d{1,10}\\])?: )|\\d{4}-\\d\\d-\\d\\dT[\\d:.+Z-]{8,24}(?= \\S{1,255} [^\\s\\[:]{1,80}\\[\\d{1,10}\\]: )) (?!${LEVELS}\\b)\\S{1,255} ([^\\s\\[:]{1,80})(?:\\[\\d{1,10}\\])?: `,
);
/** A name in a path of Windows: white space within, not at its ends. */
const NAME = '[^\\\\/:*?"<>|\\s](?:[^\\\\/:*?"<>|\\r\\n]{0,100}[^\\\\/:*?"<>|\\s])?';
/** Drive and folders, each name once, then the base name. */
const WINDOWS_PATH = new RegExp(
  `(?<![A-Za-z0-9])[A-Za-z]:\\\\{1,2}(?:${NAME}\\\\{1,2}){1,40}([\\w.@+~%$-]{0,128})`,
  "g",
);
/** Programs and source files: digits are part of the name. */
const PROGRAM = /\.(?:dll|exe|sys|ocx|cs|vb|fs|java|py|[cm]?[jt]s|go|rb|php|[ch](?:pp)?|rs)\b/i;
const TEMPORARY = /^(?=.{0,120}\d).{1,120}\.te?mp\b/i;

/** The line with placeholders for host, time and process id of a syslog header and for folders of Windows; the very same string when it holds none. */
export function maskSpans(line: string, placeholder: string): string {
  const text = line
    .replace(SYSLOG, `${placeholder} ${placeholder} $1[${placeholder}]: `)
    .replace(BSD_SYSLOG, `${placeholder} ${placeholder} $1[${placeholder}]: `);
  if (!text.includes(":\\")) return text;
  return text.replace(WINDOWS_PATH, (_, base: string) => `${placeholder}/${maskBase(base, placeholder)}`);
}

/** Digits of a base name change, except those of programs. */
function maskBase(base: string, placeholder: string): string {
  if (PROGRAM.test(base)) return base;
  return base.replace(TEMPORARY, `${placeholder}.tmp`).replace(/\d+/g, placeholder);
}
