/** A drill: the files of a part are loaded where nothing else is, compared, and gone again. */
import { createReadStream } from "node:fs";
import type { Call } from "../../call.ts";
import type { Limits, Target } from "../../config/targets.ts";
import { OpsError } from "../../errors.ts";
import type { Drilled, Found, RestoreFile, RestoreTask } from "../../restore/port.ts";
import { parsePostgresFile } from "./backup-parse.ts";
import { together } from "./backup-streams.ts";
import { connectPostgres, type PostgresConnection } from "./connect.ts";
import { identifier } from "./quoting.ts";
import { readNeeds } from "./restore-contents.ts";
import { fileOf } from "./restore-files.ts";
import { inspect, problemsIn } from "./restore-inspect.ts";
import { loadDump, watched } from "./restore-load.ts";
import { besideName, DRILL_NAMES, databaseOf } from "./restore-names.ts";
import { creationOf, requireNeeds, requireServer, serverFacts } from "./restore-plan.ts";
import { LOCK_CLASS, lockId, openServer, type RestoreSession, shielded } from "./restore-session.ts";

/** Drills whose process is gone. */
const ABANDONED = `SELECT datname AS name FROM (SELECT datname, substring(datname FROM '${DRILL_NAMES}') AS id FROM pg_database) d
  WHERE id IS NOT NULL AND NOT EXISTS (SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid::int8 = ${LOCK_CLASS} AND objsubid = 2 AND objid::int8 = ('x' || id)::bit(32)::int8)`;
const CLEAN_UP_MS = 60_000;
const PATIENT = { timeoutMs: null };

export async function postgresDrill(
  call: Call,
  task: RestoreTask,
  target: Target | undefined,
  limits: Limits,
): Promise<Drilled> {
  const file = fileOf(task);
  // roles are of the whole server: there is no place for them where nothing else is
  if (target === undefined || file.kind === "postgres-globals") return readOnly(call, task);
  const connection = (await connectPostgres(target, limits)).bare();
  try {
    return await drillOn(call, task, file, connection);
  } finally {
    await connection.close();
  }
}

async function readOnly(call: Call, task: RestoreTask): Promise<Drilled> {
  const read = await parseAll(call, task, task.files);
  return { ...read, loaded: false, where: "nowhere: its files were read to their end" };
}

async function drillOn(
  call: Call,
  task: RestoreTask,
  file: RestoreFile,
  connection: PostgresConnection,
): Promise<Drilled> {
  const name = besideName(databaseOf(task.name), task.id, "drill");
  const where = `database ${name} on ${connection.where.address}`;
  const server = await openServer(call, connection, name);
  try {
    await lockId(call, server, task.id);
    await sweep(call, server);
    const result = await withScratch(call, server, task, file, connection.sibling(name));
    const others = await parseAll(
      call,
      task,
      task.files.filter((other) => other !== file),
    );
    const problems = [...result.problems, ...others.problems];
    return { ...result, problems, notes: [...result.notes, ...others.notes], loaded: true, where };
  } finally {
    await server.close();
  }
}

async function sweep(call: Call, server: RestoreSession): Promise<void> {
  for (const { name } of await server.query<{ name: string }>(call, ABANDONED)) {
    call.log("INFO", "dropping what a killed drill left", { database: name });
    // it may be another user's, or another drill was faster
    await drop(call, server, name).catch(() => {});
  }
}

async function drop(call: Call, server: RestoreSession, name: string): Promise<void> {
  await server.query(call, `DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE)`, undefined, PATIENT);
}

/** @param into closed and dropped, whatever happens */
async function withScratch(
  call: Call,
  server: RestoreSession,
  task: RestoreTask,
  file: RestoreFile,
  into: PostgresConnection,
): Promise<Found> {
  const { database } = into.where;
  try {
    return await load(call, server, task, file, into);
  } catch (error) {
    if (!(error instanceof OpsError) || error.code !== "integrity") throw error;
    return { counts: {}, breakdown: {}, problems: [error.message], notes: [] };
  } finally {
    await into.close();
    await drop(shielded(call, CLEAN_UP_MS), server, database).catch(() => {
      call.log("WARNING", "a drill's database stays until the next drill", { database });
    });
  }
}

async function load(
  call: Call,
  server: RestoreSession,
  task: RestoreTask,
  file: RestoreFile,
  into: PostgresConnection,
): Promise<Found> {
  const { jobs } = task.options;
  const { database } = into.where;
  const needs = await readNeeds(call, file);
  await requireServer(call, server, await serverFacts(call, server), file, needs.major);
  const omitted = await requireNeeds(call, server, needs, file, "optional");
  const flags = [
    ...(omitted.tablespaces ? ["--no-tablespaces"] : []),
    ...(omitted.roles.length > 0 ? ["--no-owner", "--no-privileges"] : []),
  ];
  const settings = creationOf(undefined, needs);
  await server.query(
    call,
    `CREATE DATABASE ${identifier(database)} TEMPLATE template0 ${settings}`,
    undefined,
    PATIENT,
  );
  await server.query(call, `REVOKE CONNECT ON DATABASE ${identifier(database)} FROM PUBLIC`);
  let found: Found | undefined;
  await watched(call, server, database, task.name, async (own) => {
    await loadDump(own, { file, into, server, jobs, flags });
    found = await inspect(own, into, task.expected, { jobs, analyze: false, notValid: needs.notValid });
  });
  const notes =
    omitted.roles.length > 0
      ? [
          `without owners and privileges: the roles ${omitted.roles.join(", ")} are not there, or not given to this user`,
        ]
      : [];
  return { ...found!, notes: [...found!.notes, ...notes] };
}

/** Reads files to their end, each on its own, and compares what they hold with the metadata. */
async function parseAll(call: Call, task: RestoreTask, files: readonly RestoreFile[]): Promise<Found> {
  const result: Found = { counts: {}, breakdown: {}, problems: [], notes: [] };
  await together(call, (own) =>
    files.map(async (file) => {
      const content = createReadStream(file.local, { highWaterMark: 1 << 18, signal: own.signal });
      try {
        const read = await parsePostgresFile(own, { ...file, content, scratch: task.work });
        Object.assign(result.counts, read.counts);
        Object.assign(result.breakdown, read.breakdown);
        result.problems.push(...problemsIn(read, task.expected).map((problem) => `${file.path}: ${problem}`));
      } catch (error) {
        if (!(error instanceof OpsError) || error.code !== "integrity") throw error;
        result.problems.push(error.message);
      }
    }),
  );
  return result;
}
