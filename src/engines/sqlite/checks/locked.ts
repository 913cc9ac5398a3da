import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { OpsError } from "../../../errors.ts";
import { withLock } from "../connect.ts";
import type { SqliteCheck } from "./look.ts";

/** A write of opsctl takes milliseconds. */
const WAIT_MS = 1_000;
/** Bytes that stand for the right to write: of the -shm file with a log, of the file without (https://sqlite.org/walformat.html, 2.3.1; fileformat of locks: os.h). */
const WAL_WRITE_BYTE = 120;
const RESERVED_BYTE = 0x40000001;

interface Holder {
  pid: number;
  /** Its program, as the kernel has it: without arguments, which may hold secrets. */
  program: string | null;
}

/** Somebody keeps the right to write. */
export const locked: SqliteCheck = {
  id: "sqlite-locked",
  area: "sqlite",
  title: "another process keeps the SQLite file from being written",
  looks: "BEGIN IMMEDIATE within 1 s; /proc/locks",
  async run(call, { connection, root, target }) {
    try {
      const attempt = () => connection.database().exec("BEGIN IMMEDIATE; ROLLBACK");
      await withLock(call, connection.path, attempt, WAIT_MS);
      return [];
    } catch (error) {
      if (!(error instanceof OpsError) || error.code !== "locked") throw error;
    }
    const holder = findHolder(root, connection.path);
    return [
      {
        severity: "error",
        subject: target.shown,
        evidence: `no write began within ${WAIT_MS} ms; ${holder ? `process ${holder.pid}${holder.program === null ? "" : ` (${holder.program})`} holds the lock` : "who holds the lock cannot be seen"}`,
        cause:
          "A process began a transaction and did not end it: until it does, every write waits and then fails.",
        remedies: holder ? [{ argv: ["kill", String(holder.pid)], safe: false }] : [],
        advice: holder
          ? "let it finish if it works; what it has not committed is lost when it is ended"
          : `find it: fuser -v ${connection.path}`,
      },
    ];
  },
};

/** Undefined: the kernel's list cannot be read, or names nobody of this host. */
function findHolder(root: string, path: string): Holder | undefined {
  const bytes = new Map<number, number>();
  for (const [file, byte] of [
    [`${path}-shm`, WAL_WRITE_BYTE],
    [path, RESERVED_BYTE],
  ] as const) {
    const inode = statSync(file, { throwIfNoEntry: false })?.ino;
    if (inode !== undefined) bytes.set(inode, byte);
  }
  const lines = readText(join(root, "proc/locks"))?.split("\n") ?? [];
  const pid = lines.flatMap((line) => holderIn(line, bytes) ?? [])[0];
  if (pid === undefined) return undefined;
  return { pid, program: readText(join(root, "proc", String(pid), "comm"))?.trim() ?? null };
}

/** `1: POSIX  ADVISORY  WRITE 4711 08:01:131073 120 120` (proc_locks(5)); one that waits has `->` behind the number. */
const LOCK = /^\d+: \w+ +ADVISORY +WRITE +(\d+) [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+|EOF)$/;

function holderIn(line: string, bytes: ReadonlyMap<number, number>): number | undefined {
  const [, pid, inode, first, last] = LOCK.exec(line) ?? [];
  const byte = bytes.get(Number(inode));
  if (byte === undefined || Number(first) > byte) return undefined;
  if (last !== "EOF" && Number(last) < byte) return undefined;
  return Number(pid) > 0 ? Number(pid) : undefined;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // not Linux, or not for this user: then it is not known
    return undefined;
  }
}
