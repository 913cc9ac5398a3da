/** What a drill needs, from the configuration. */
import { availableParallelism, tmpdir } from "node:os";
import { resolve } from "node:path";
import { usageError } from "../errors.ts";
import type { DrillTools } from "../restore/drill.ts";
import type { Context } from "./command.ts";
import { restoreOptions } from "./restore-tools.ts";

export interface DrillFlags {
  jobs?: number;
  trustArchive?: boolean;
}

/** @throws OpsError `usage` when DRILL_NEO4J_URI is a store that is in use */
export async function drillTools(
  context: Context,
  { jobs = availableParallelism(), trustArchive = false }: DrillFlags,
): Promise<DrillTools> {
  const { app, call } = context;
  const { text } = app.config;
  requireScratch(app);
  const own = text("OPSCTL_RESTORE_DIR");
  const catalogue = await app.catalogue();
  return {
    drill: (call, engine, task) => app.drillPart(call, engine, task),
    parent: own === undefined ? tmpdir() : resolve(app.config.cwd, own),
    lock: (call, folder) => app.backupLock(call, folder),
    stage: {
      identity: text("OPSCTL_BACKUP_IDENTITY"),
      signingKey: text("OPSCTL_BACKUP_SIGNING_KEY"),
      knows: (sha256) => catalogue.knows(call, sha256),
      trust: trustArchive,
    },
    options: restoreOptions(context, { jobs, redisMethod: "auto" }),
  };
}

/** A drill empties it afterwards. */
function requireScratch({ targets }: Context["app"]): void {
  const { drill, neo4j, backup } = targets;
  const isLive = [neo4j, backup.neo4j].some(
    (target) => target !== undefined && target.identity === drill.neo4j?.identity,
  );
  if (isLive)
    throw usageError(
      "DRILL_NEO4J_URI is the server of NEO4J_URI, and a drill empties what it fills",
      "name a Neo4j of its own, or unset DRILL_NEO4J_URI: its files are then read to their end, and loaded nowhere",
    );
}
