/**
 * Reads the files of a set again. Nothing of them is ever executed: there is no server in it, pg_restore only prints what it reads, and scripts
 * are read as lines of text.
 */
import type { ParseFile, StoredFile } from "../../backup/port.ts";
import { type Call, throwIfAborted } from "../../call.ts";
import { OpsError } from "../../errors.ts";
import { DumpReader } from "./backup-archive.ts";
import { startRestore } from "./backup-copy.ts";
import { ScriptReader } from "./backup-script.ts";
import { feedTool, outputOf, together } from "./backup-streams.ts";

type Found = Awaited<ReturnType<ParseFile>>;

/**
 * As pg_dumpall writes a password: `ALTER ROLE name WITH … PASSWORD 'SCRAM-SHA-256$…'`, where nothing before it is in single quotes. The digests also
 * in the middle of a line, since a name may have a line end.
 */
const PASSWORD =
  /^(?:CREATE|ALTER) ROLE (?:"(?:[^"]|"")*"|[^\s"]+) WITH [^']* PASSWORD '|PASSWORD '(?:SCRAM-SHA-256\$|md5[0-9a-f]{32}')/;

/** @throws OpsError `integrity` naming the file and the byte or line; `failed` when pg_restore is missing, or too old for the dump */
export const parsePostgresFile: ParseFile = async (call, file) => {
  try {
    if (file.kind === "postgres-custom") return await parseDump(call, file);
    if (file.kind === "postgres-plain") return await parseScript(call, file);
    return { counts: await readGlobals(watched(call, file)), breakdown: {} };
  } catch (error) {
    if (!(error instanceof OpsError) || error.code !== "integrity") throw error;
    const { message } = error;
    throw new OpsError({ code: "integrity", engine: "postgres", message: `${file.path}: ${message}` });
  }
};

/** Twice, each on its own: opsctl reads its layout to the last byte, pg_restore reads its definitions. */
async function parseDump(call: Call, file: StoredFile): Promise<Found> {
  const dump = new DumpReader();
  const script = new ScriptReader("PostgreSQL database dump");
  await together(call, (own) => {
    const restore = startRestore(own);
    const reading = async () => {
      for await (const chunk of watched(own, file)) {
        dump.push(chunk);
        await feedTool(restore, chunk);
      }
      dump.end();
      restore.stdin.end();
    };
    const printing = async () => {
      for await (const chunk of outputOf(restore)) script.push(chunk);
      await restore.done.catch((error: unknown) => {
        throw explainRestore(error);
      });
      script.end();
    };
    return [reading(), printing()];
  });
  const content = dump.end();
  const rows = content?.rows ?? script.rows;
  const objects = content?.largeObjects ?? script.largeObjects;
  return {
    counts: { ...(content && { tables: content.tables }), ...totals(rows, objects) },
    breakdown: rows,
  };
}

/** A dump that is damaged can crash it, too; when somebody else ended it, the dump is not to blame. */
const REFUSED = /^pg_restore (?:ended with code|was ended by SIG(?:SEGV|ABRT|BUS|ILL|FPE))/;

function explainRestore(error: unknown): unknown {
  if (!(error instanceof OpsError) || !REFUSED.test(error.message)) return error;
  const isNewer = /unsupported version/.test(error.message);
  return new OpsError({
    code: isNewer ? "failed" : "integrity",
    engine: "postgres",
    message: error.message,
    ...(isNewer && {
      hint: "install the client programs of the PostgreSQL that made the dump, or newer ones, and put them first on PATH",
    }),
  });
}

async function parseScript(call: Call, file: StoredFile): Promise<Found> {
  const script = new ScriptReader("PostgreSQL database dump");
  for await (const chunk of watched(call, file)) script.push(chunk);
  script.end();
  return { counts: totals(script.rows, script.largeObjects), breakdown: script.rows };
}

/**
 * Counts the roles and tablespaces of what pg_dumpall wrote.
 * @throws OpsError `integrity` when it is not whole, or holds a password
 */
export async function readGlobals(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<Record<string, number>> {
  const counts = { roles: 0, tablespaces: 0 };
  const script = new ScriptReader("PostgreSQL database cluster dump", (line, number) => {
    if (line.startsWith("CREATE ROLE ")) counts.roles++;
    if (line.startsWith("CREATE TABLESPACE ")) counts.tablespaces++;
    if (!PASSWORD.test(line)) return;
    throw new OpsError({
      code: "integrity",
      engine: "postgres",
      message: `it holds the password of a role (line ${number}): pg_dumpall was asked for none`,
    });
  });
  for await (const chunk of content) script.push(chunk);
  script.end();
  return counts;
}

/** Under the names of `Copied.counts`. */
export function totals(rows: Record<string, number>, largeObjects: number): Record<string, number> {
  return { rows: Object.values(rows).reduce((sum, count) => sum + count, 0), large_objects: largeObjects };
}

/** The file's bytes, as long as the call lives. */
async function* watched(call: Call, { path, size_bytes, content }: StoredFile): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of content) {
    throwIfAborted(call);
    done += chunk.length;
    call.progress({ label: path, done, total: size_bytes, unit: "bytes" });
    yield chunk;
  }
}
