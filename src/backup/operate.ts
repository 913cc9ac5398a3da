/** A backup as an operator means it: announced, made, looked at again, and followed by what the policy removes. */
import { type Call, throwIfAborted } from "../call.ts";
import { OpsError, toOpsError } from "../errors.ts";
import { type Archive, isGood, listArchives, readArchive } from "./archives.ts";
import { shrinkWarnings } from "./changes.ts";
import { runHook } from "./hooks.ts";
import type { Level, Sidecar } from "./metadata.ts";
import { ping } from "./ping.ts";
import type { RunLock } from "./port.ts";
import { type Applied, applyRetention, planRetention, type RetentionPolicy } from "./retention.ts";
import { type RunOptions, type RunResult, runBackup } from "./run.ts";
import { type VerifyTools, verifyArchive } from "./verify.ts";
import { sweepWork } from "./work.ts";

const LAST_WORDS_MS = 5_000;

export interface Operation {
  run: RunOptions;
  lock(): Promise<RunLock>;
  /** A fuzzy part is a failure. */
  mustBeConsistent: boolean;
  verify: { level: Exclude<Level, "drill">; tools: VerifyTools };
  /** Restores it into scratch targets. @returns why it did not pass: `integrity` for damage, else why there is no verdict */
  drill?: ((call: Call, archive: Archive) => Promise<OpsError | undefined>) | undefined;
  /** Undefined: nothing is removed. */
  retention: RetentionPolicy | undefined;
  /** Of all that is configured: an engine that is gone is worth a warning. */
  isEverything: boolean;
  /** Per cent by which size or counts may fall. */
  shrinkPercent: number;
  hooks: { before?: string | undefined; after?: string | undefined };
  pings: { start?: string | undefined; success?: string | undefined; failure?: string | undefined };
}

export interface Operated extends RunResult {
  archive: Archive;
  sidecar: Sidecar;
  /** What the verification, or the drill, found. */
  damage: OpsError | undefined;
  /** Why the drill came to no verdict. */
  drillFailure: OpsError | undefined;
  warnings: string[];
  /** Names of archives that the policy removed. */
  removed: string[];
  /** The hook afterwards failed: a copy elsewhere may be missing. */
  hookFailure: OpsError | undefined;
}

/** @throws OpsError when nothing was published: of the run, `locked`, or of the hook before it */
export async function operate(call: Call, operation: Operation): Promise<Operated> {
  const { pings } = operation;
  const lock = await operation.lock();
  try {
    await announce(call, pings.start);
    const result = await hooked(call, operation);
    const { state, consistency } = result.sidecar.metadata;
    const isAsAsked = consistency === "consistent" || !operation.mustBeConsistent;
    const hasFailed = result.damage ?? result.drillFailure ?? result.hookFailure;
    const isFine = state === "complete" && isAsAsked && !hasFailed;
    await announce(call, isFine ? pings.success : pings.failure, summary(result));
    return result;
  } catch (error) {
    // also after a signal: whoever waits for the ping learns that this run made nothing
    await announce(
      { ...call, signal: new AbortController().signal },
      pings.failure,
      toOpsError(error).message,
    );
    throw error;
  } finally {
    await lock.release();
  }
}

/** After a signal or the deadline there is still something to say, but not for long. */
function lastWords(call: Call): Call {
  return call.signal.aborted ? { ...call, signal: AbortSignal.timeout(LAST_WORDS_MS) } : call;
}

async function announce(call: Call, url: string | undefined, body?: string): Promise<void> {
  if (url !== undefined) await ping(call, url, body);
}

function summary({ sidecar, damage, drillFailure, hookFailure }: Operated): string {
  const { metadata } = sidecar;
  const failed = metadata.parts
    .filter(({ error }) => error)
    .map(({ engine, error }) => `${engine}: ${error!.message}`);
  return [
    `${sidecar.file} ${metadata.state}, ${metadata.consistency}`,
    ...failed,
    ...[damage, drillFailure, hookFailure].flatMap((failure) => failure?.message ?? []),
  ].join("\n");
}

async function hooked(call: Call, operation: Operation): Promise<Operated> {
  const { hooks } = operation;
  if (hooks.before !== undefined) await runHook(call, "OPSCTL_BACKUP_BEFORE", hooks.before, {});
  let result: Operated;
  try {
    result = await work(call, operation);
  } catch (error) {
    // the hook before may have stopped something: the one after always runs
    if (hooks.after !== undefined)
      await runHook(lastWords(call), "OPSCTL_BACKUP_AFTER", hooks.after, outcome("failed", undefined)).catch(
        (second: unknown) => call.log("WARNING", toOpsError(second).message),
      );
    throw error;
  }
  if (hooks.after === undefined) return result;
  try {
    const state = result.damage ? "damaged" : result.sidecar.metadata.state;
    await runHook(call, "OPSCTL_BACKUP_AFTER", hooks.after, outcome(state, result.archive));
    return result;
  } catch (error) {
    const hookFailure = toOpsError(error);
    return { ...result, hookFailure, warnings: [...result.warnings, hookFailure.message] };
  }
}

function outcome(state: string, archive: Archive | undefined): Record<string, string> {
  return {
    OPSCTL_BACKUP_STATE: state,
    ...(archive ? { OPSCTL_BACKUP_NAME: archive.name, OPSCTL_BACKUP_PATH: archive.path } : {}),
  };
}

async function work(call: Call, operation: Operation): Promise<Operated> {
  const { run, verify, retention, shrinkPercent } = operation;
  const { folder } = run;
  await sweepWork(folder, run.container === "file" ? run.name : undefined);
  const before = (await listArchives(folder)).filter(isGood);
  const result = await runBackup(call, run);
  const { damage, drillFailure, archive } = await drilled(
    call,
    await look(call, result.archive, verify),
    operation,
  );
  const sidecar = archive.sidecar ?? result.sidecar;
  const warnings = shrinkWarnings(before, sidecar, shrinkPercent, operation.isEverything);
  // damage that could not be written down is damage all the same
  const mayRemove = damage === undefined && isGood(archive);
  const { removed, failed } = retention && mayRemove ? await retain(call, folder, retention) : NOTHING;
  return {
    ...result,
    archive,
    sidecar,
    damage,
    drillFailure,
    warnings: [...warnings, ...failed.map(({ error }) => error.message)],
    removed: removed.map(({ name }) => name),
    hookFailure: undefined,
  };
}

/** Reads back what was published: what is on the disk counts, not what was sent there. */
async function look(call: Call, archive: Archive, { level, tools }: Operation["verify"]): Promise<Looked> {
  const { problems } = await verifyArchive(call, archive, level, tools);
  const [first] = problems;
  const damage = first
    ? new OpsError({
        code: "integrity",
        message: `${archive.path} was written, and reads back damaged: ${first.path}: ${first.message}`,
        hint: "check the disk; the archive is kept, and counts as damaged",
      })
    : undefined;
  return { damage, archive: await readArchive(archive.path) };
}

interface Looked {
  damage: OpsError | undefined;
  archive: Archive;
}

/** What reads back damaged is not restored anywhere. */
async function drilled(
  call: Call,
  { damage, archive }: Looked,
  { drill }: Operation,
): Promise<Looked & Pick<Operated, "drillFailure">> {
  if (damage || !drill) return { damage, archive, drillFailure: undefined };
  const failure = await drill(call, archive).catch((error: unknown) => {
    throwIfAborted(call);
    return toOpsError(error);
  });
  const isDamage = failure?.code === "integrity";
  return {
    damage: isDamage ? failure : undefined,
    drillFailure: isDamage ? undefined : failure,
    archive: await readArchive(archive.path),
  };
}

const NOTHING: Applied = { removed: [], failed: [] };

async function retain(call: Call, folder: string, policy: RetentionPolicy): Promise<Applied> {
  return applyRetention(call, planRetention(await listArchives(folder), policy, Date.now()));
}
