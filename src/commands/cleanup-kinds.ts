/** Every kind of thing that `cleanup` takes away, wired to this process's stores. A new kind is a file in src/maintain and a line here. */
import { existsSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, resolve } from "node:path";
import type { RetentionPolicy } from "../backup/retention.ts";
import type { Call } from "../call.ts";
import type { Target } from "../config/targets.ts";
import type { PlacedKind } from "../maintain/cleanup.ts";
import { type ArchivesKind, archivesKind } from "../maintain/cleanup-archives.ts";
import { locksKind } from "../maintain/cleanup-locks.ts";
import { operationsKind } from "../maintain/cleanup-operations.ts";
import { samplesKind, tombstonesKind } from "../maintain/cleanup-rows.ts";
import { namesInUse, restoresInUse, scratchKind } from "../maintain/cleanup-scratch.ts";
import { spoolsKind } from "../maintain/cleanup-spools.ts";
import type { RestoreRecord } from "../restore/journal.ts";
import { archiveFolder } from "./backup-folder.ts";
import type { Context } from "./command.ts";

export interface Kinds {
  archives: ArchivesKind;
  /** In the order in which they run. */
  all: PlacedKind[];
}

/** A lock that somebody else gives back. */
const HELD = { release: () => Promise.resolve() };

/** @param isDry nothing may be written: the lock of the archives is not taken */
export function cleanupKinds(
  context: Context,
  folder: string,
  policy: RetentionPolicy,
  isDry: boolean,
): Kinds {
  const { app } = context;
  const { config, stateFile } = app;
  const own = config.text("OPSCTL_RESTORE_DIR");
  const work = own === undefined ? undefined : resolve(config.cwd, own);
  const keepSamplesMs = config.durationMs("OPSCTL_KEEP_SAMPLES");
  const keepTombstonesMs = config.durationMs("OPSCTL_KEEP_TOMBSTONES");
  const archives = archivesKind(folder, policy);
  const lock = (call: Call, place: string) => app.backupLock(call, place);
  const restores = async (call: Call) => (await restoresOf(context, call)) ?? [];
  const spools = spoolsKind({
    archives: folder,
    isOurs: !isDry,
    drills: work ?? tmpdir(),
    temporary: tmpdir(),
    restores: {
      folder: work ?? archiveFolder(context, undefined),
      owner: `${hostname()}:${stateFile}`,
      kept: async (call) => restoresInUse(await restores(call)).map(({ id }) => id),
      // the host's lock is that of the state file's folder, which is ours already when the archives are there, too
      lock: (call) => (dirname(stateFile) === folder ? Promise.resolve(HELD) : app.hostLock(call)),
    },
    lock,
  });
  const all = [
    locksKind([folder, dirname(stateFile), ...(work === undefined ? [] : [work])], lock),
    spools,
    archives,
    samplesKind(async () => (existsSync(stateFile) ? app.samples() : undefined), keepSamplesMs),
    operationsKind(stateFile, keepSamplesMs),
    ...scratchTargets(context).map((target) =>
      scratchKind(target, async (call) => app.leftovers(call, target, namesInUse(await restores(call)))),
    ),
    ...app
      .stores()
      .each()
      .map(({ engine, open }) =>
        tombstonesKind(
          engine,
          async (call) => (engine === "sqlite" && !existsSync(app.dataFile) ? undefined : open(call)),
          keepTombstonesMs,
        ),
      ),
  ];
  return { archives, all };
}

/** Undefined: this host has no state file, and looking makes none. */
async function restoresOf({ app }: Context, call: Call): Promise<RestoreRecord[] | undefined> {
  if (!existsSync(app.stateFile)) return undefined;
  return (await app.restoreJournal()).list(call);
}

/** Servers that restores and drills write to, each once. */
function scratchTargets({ app }: Context): Target[] {
  const { drill } = app.targets;
  const targets = [
    app.restoreTarget("neo4j"),
    app.restoreTarget("postgres"),
    app.restoreTarget("redis"),
    drill.neo4j,
    drill.postgres,
  ].filter((target) => target !== undefined);
  return [...new Map(targets.map((target) => [target.identity, target])).values()];
}
