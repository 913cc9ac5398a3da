/** A drill: an archive is restored where nothing else is, part by part, and compared with what its metadata says. */
import { randomBytes } from "node:crypto";
import { lstat, mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Archive } from "../backup/archives.ts";
import type { DrillRecord, Level } from "../backup/metadata.ts";
import type { FileKind } from "../backup/port.ts";
import { type Recorded, recordDamage, recordVerified } from "../backup/verify-record.ts";
import type { Problem } from "../backup/verify-set.ts";
import { type Call, throwIfAborted } from "../call.ts";
import { type EngineName, OpsError, toOpsError } from "../errors.ts";
import { TOOL_VERSION } from "../package.ts";
import { agreeing, problemsOf } from "./drill-compare.ts";
import { type LockFolder, makeDrillWork } from "./drill-work.ts";
import type { Drilled, RestoreOptions, RestoreTask } from "./port.ts";
import { type StagedPart, type StagedSet, type StageOptions, stageSet } from "./stage.ts";

export interface DrillTools {
  /** Restores one part into a scratch target. */
  drill(call: Call, engine: EngineName, task: RestoreTask): Promise<Drilled>;
  /** What is taken out of the archive goes below this folder. */
  parent: string;
  lock: LockFolder;
  /** How the archive is opened. */
  stage: Omit<StageOptions, "folder" | "engines">;
  options: RestoreOptions;
}

/** What became of a part. */
export interface PartOutcome {
  engine: EngineName;
  name: string;
  /** Null: no verdict (`error`), or its files cannot be used at all. */
  drilled: Drilled | null;
  /** What is wrong with it, a sentence each. */
  problems: string[];
  /** How many amounts are as the metadata says. */
  compared: number;
  /** Why there is no verdict: a scratch target that does not answer says nothing about the archive. */
  error: OpsError | null;
  duration_ms: number;
}

export interface Drill {
  /** No damage was found, and nothing failed. */
  ok: boolean;
  /** What the drill shows of the archive; null: it is damaged, failed, or only some of its parts were asked for. */
  level: Extract<Level, "parse" | "drill"> | null;
  /** Of the archive as a whole, before any part was restored. */
  problems: Problem[];
  /** Null: the archive is damaged. */
  trusted: StagedSet["trusted"] | null;
  parts: PartOutcome[];
  notes: string[];
  /** What came out stands beside the archive: a verdict on a part, or that the whole is damaged. */
  recorded: boolean;
  /** Of it, reading and comparing the archive. */
  stage_ms: number;
  duration_ms: number;
}

/**
 * Drills an archive and writes into its sidecar what came out. Damage is an answer here and not an error. Nothing is locked: the archive is read
 * once, at the beginning, and may go away then.
 * @param engines undefined: all that it holds
 * @throws OpsError for what keeps the drill from beginning: `usage` and `auth` (trust, keys), `failed` (no room), `not_found` for an engine that
 *   the archive does not hold, and for an archive that was removed meanwhile
 */
export async function drillArchive(
  call: Call,
  archive: Archive,
  engines: readonly EngineName[] | undefined,
  tools: DrillTools,
): Promise<Drill> {
  const startedAt = performance.now();
  const work = await makeDrillWork(call, tools.parent, tools.lock);
  try {
    const files = join(work.folder, "files");
    await mkdir(files, { mode: 0o700 });
    const staged = await stage(call, archive, { ...tools.stage, folder: files, engines });
    const stage_ms = elapsed(startedAt);
    const drill = { stage_ms, ...NOTHING };
    if (staged instanceof OpsError) drill.problems = [problemOf(archive, staged)];
    else Object.assign(drill, judge(staged, await drillParts(call, staged, work.folder, tools)));
    throwIfAborted(call);
    const ended: Drill = { ...drill, duration_ms: elapsed(startedAt) };
    return { ...ended, recorded: (await record(call, archive, staged, ended)) !== undefined };
  } finally {
    await work.remove();
  }
}

const elapsed = (since: number) => Math.round(performance.now() - since);

const NOTHING: Omit<Drill, "stage_ms" | "duration_ms"> = {
  ok: false,
  level: null,
  problems: [],
  trusted: null,
  parts: [],
  notes: [],
  recorded: false,
};

/** The set, or what is wrong with it. */
async function stage(call: Call, archive: Archive, options: StageOptions): Promise<StagedSet | OpsError> {
  try {
    return await stageSet(call, archive, options);
  } catch (error) {
    throwIfAborted(call);
    const isGone = !archive.isMissing && !(await lstat(archive.path).catch(() => undefined));
    if (isGone)
      throw new OpsError({
        code: "not_found",
        message: `${archive.path} was removed while it was read`,
        hint: "opsctl backup list shows the others",
        cause: error,
      });
    if (error instanceof OpsError && error.code === "integrity") return error;
    throw error;
  }
}

/** What the message says of which file, as a verification has it. */
function problemOf({ path }: Archive, { message }: OpsError): Problem {
  const start = `${basename(path)}: `;
  return { path: basename(path), message: message.startsWith(start) ? message.slice(start.length) : message };
}

/** Side by side; each fails for itself. All have ended when this does. */
function drillParts(
  call: Call,
  { parts }: StagedSet,
  folder: string,
  tools: DrillTools,
): Promise<PartOutcome[]> {
  const id = randomBytes(4).toString("hex");
  return Promise.all(
    parts.map((staged, nth) => drillPart(call, staged, id, join(folder, `part-${nth}`), tools)),
  );
}

async function drillPart(
  call: Call,
  { part, files }: StagedPart,
  id: string,
  work: string,
  { drill, options }: DrillTools,
): Promise<PartOutcome> {
  const startedAt = performance.now();
  const { engine, name, counts, breakdown, server_version: serverVersion } = part;
  const outcome = { engine, name, drilled: null, problems: [], compared: 0, error: null };
  try {
    await mkdir(work, { mode: 0o700 });
    const expected = { counts, breakdown };
    // nobody goes on with a drill that was killed: what it made has its id, and the next one sweeps it
    const save = async () => {};
    // what it may harm is of the drill alone
    const isOurs = true;
    const task = { id, name, files, expected, serverVersion, isOurs, work, saved: {}, save, options };
    const drilled = await drill(call, engine, task);
    const problems = problemsOf(engine, drilled, expected);
    const compared = agreeing(drilled, expected);
    return { ...outcome, drilled, problems, compared, duration_ms: elapsed(startedAt) };
  } catch (thrown) {
    const error = toOpsError(thrown);
    const found = error.code === "integrity" ? { problems: [error.message] } : { error };
    return { ...outcome, ...found, duration_ms: elapsed(startedAt) };
  }
}

/** What the outcomes of the parts say of the archive. */
function judge(
  staged: StagedSet,
  parts: PartOutcome[],
): Pick<Drill, "ok" | "level" | "trusted" | "parts" | "notes"> {
  const { metadata, trusted, isForeign } = staged;
  const ok = parts.every(({ problems, error }) => problems.length === 0 && error === null);
  const left = metadata.parts.filter(
    ({ engine, name, state }) =>
      state === "complete" && !parts.some((part) => part.engine === engine && part.name === name),
  );
  const read = parts.filter(({ drilled, problems }) => drilled?.loaded === false && problems.length === 0);
  const isEnough = read.every((part) => mayBeRead(staged, part));
  const level = !ok || isForeign || left.length > 0 ? null : isEnough ? "drill" : "parse";
  const notes = [
    ...staged.notes,
    ...left.map(({ engine, name }) => `${engine} ${name} was not drilled: nobody asked for it`),
    ...(level === "parse"
      ? read.map(
          ({ engine, name }) => `${engine} ${name} was only read: the archive is no drilled one for that`,
        )
      : []),
  ];
  return { ok, level, trusted, parts, notes };
}

/** Neo4j has one database a server, and an export is rebuilt without one; roles belong to a whole server. */
const READABLE: readonly FileKind[] = ["neo4j-ndjson", "postgres-globals"];

/** Whether it counts as drilled though no server loaded it. */
function mayBeRead({ parts }: StagedSet, { engine, name }: PartOutcome): boolean {
  const staged = parts.find(({ part }) => part.engine === engine && part.name === name);
  return staged!.files.every(({ kind }) => READABLE.includes(kind));
}

/** Writes down what came out, where it is a verdict. */
async function record(
  call: Call,
  archive: Archive,
  staged: StagedSet | OpsError,
  drill: Drill,
): Promise<Recorded> {
  // not one byte was restored: what was compared are digests
  if (staged instanceof OpsError) return recordDamage(call, archive, "checksums", drill.problems[0]!);
  const damaged = drill.parts.find(({ problems }) => problems.length > 0);
  if (staged.isForeign || (!drill.ok && damaged === undefined)) return undefined;
  const { metadata, sha256 } = staged;
  const made = recordOf(drill);
  if (damaged) {
    const { engine, name, problems } = damaged;
    const problem = { path: `${engine} ${name}`, message: problems[0]! };
    return recordDamage(call, archive, "drill", problem, made);
  }
  const size_bytes = archive.sidecar?.size_bytes ?? archive.size_bytes;
  return recordVerified(call, archive, drill.level ?? undefined, { metadata, sha256, size_bytes }, made);
}

/** A part without a verdict is none that was drilled: what an earlier drill found of it still holds. */
function recordOf({ parts, duration_ms }: Drill): DrillRecord {
  const at = new Date().toISOString();
  const judged = parts.filter(({ error }) => error === null);
  return {
    at,
    ok: judged.every(({ problems }) => problems.length === 0),
    duration_ms,
    opsctl_version: TOOL_VERSION,
    parts: judged.map(({ engine, name, drilled, problems, duration_ms }) => ({
      engine,
      name,
      at,
      loaded: drilled?.loaded ?? false,
      ok: problems.length === 0,
      duration_ms,
      message: problems[0] ?? null,
    })),
  };
}
