/** What a restore needs of this process: locks, folders, connections. */
import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import type { RunLock } from "../backup/port.ts";
import { makeFolder } from "../backup/work.ts";
import { toOpsError, usageError } from "../errors.ts";
import { TOOL_VERSION } from "../package.ts";
import type { RestoreOptions } from "../restore/port.ts";
import type { RestoreTools } from "../restore/subjects.ts";
import { archiveFolder } from "./backup-folder.ts";
import { DEFAULTS, partOptions } from "./backup-request.ts";
import type { Context } from "./command.ts";
import type { RestoreFlags } from "./restore.ts";
import type { Places } from "./restore-targets.ts";

const METHODS = ["auto", "replica", "commands"] as const;

/** @throws OpsError `usage` */
export function restoreOptions(
  { app }: Context,
  { jobs, redisMethod, listen }: Pick<RestoreFlags, "jobs" | "redisMethod" | "listen">,
): RestoreOptions {
  const method = METHODS.find((known) => known === redisMethod);
  if (method === undefined)
    throw usageError(`--redis-method: "${redisMethod}" is none of ${METHODS.join(", ")}`, "use one of them");
  const { text } = app.config;
  const reached = listen ?? text("OPSCTL_RESTORE_LISTEN");
  if (reached !== undefined)
    requireAddress(listen === undefined ? "OPSCTL_RESTORE_LISTEN" : "--listen", reached);
  return {
    jobs,
    redis: { method, listen: reached, server: text("OPSCTL_REDIS_SERVER")! },
    neo4j: {
      stop: text("OPSCTL_NEO4J_STOP"),
      start: text("OPSCTL_NEO4J_START"),
      admin: text("OPSCTL_NEO4J_ADMIN")!,
      cypherShell: text("OPSCTL_CYPHER_SHELL")!,
    },
  };
}

/** `host`, `host:port`, `[::1]:port`. */
function requireAddress(field: string, text: string): void {
  const [, port] = /^(?:\[[0-9a-f:.%]+\]|[^\s:[\]/]+)(?::(\d{1,5}))?$/i.exec(text) ?? [undefined, "0"];
  if (port === undefined || (Number(port) >= 1 && Number(port) <= 65_535)) return;
  throw usageError(
    `${field}: "${text}" is no address`,
    "write it as host or host:port, the port from 1 to 65535, for example 10.0.0.5:7000",
  );
}

export async function restoreTools(
  context: Context,
  options: RestoreOptions,
  { targetOf }: Places,
): Promise<RestoreTools> {
  const { app } = context;
  const { text } = app.config;
  return {
    journal: await app.restoreJournal(),
    options,
    open: (record, task) => app.restorePart(targetOf(record), task),
    copyOf: (call, record) =>
      app.safetyParts(call, targetOf(record), {
        ...partOptions(context, DEFAULTS),
        databases: [],
        sqlite: { name: record.name },
      }),
    stallMs: app.config.durationMs("OPSCTL_BACKUP_STALL"),
    opsctlVersion: TOOL_VERSION,
    hooks: { stop: text("OPSCTL_RESTORE_STOP"), start: text("OPSCTL_RESTORE_START") },
  };
}

/** Where the work of a restore goes: a folder that is configured must do; the archives' may be on a medium that nobody writes to. */
export function workParent(context: Context): string {
  const { app } = context;
  const configured = app.config.text("OPSCTL_RESTORE_DIR");
  const state = dirname(app.stateFile);
  if (configured !== undefined) {
    makeFolder(configured);
    return configured;
  }
  const archives = archiveFolder(context, undefined);
  try {
    makeFolder(archives);
    accessSync(archives, constants.W_OK);
    return archives;
  } catch {
    makeFolder(state);
    return state;
  }
}

/**
 * No other restore of this host, and no backup into these folders, runs meanwhile.
 * @param folders of archives
 * @throws OpsError `locked`
 */
export async function restoreLocks({ app, call }: Context, folders: Iterable<string>): Promise<RunLock> {
  const locks: RunLock[] = [await app.hostLock(call)];
  const release = async () => {
    for (const lock of locks.reverse()) await lock.release();
  };
  try {
    const others = new Set(folders);
    // its lock is that of the host
    others.delete(dirname(app.stateFile));
    for (const folder of others) {
      try {
        locks.push(await app.backupLock(call, folder));
      } catch (error) {
        // where nobody can write, no backup is made
        if (toOpsError(error).code === "locked") throw error;
        call.log("DEBUG", `${folder} cannot be locked: ${toOpsError(error).message}`);
      }
    }
    return { release };
  } catch (error) {
    await release();
    throw error;
  }
}
