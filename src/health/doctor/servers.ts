/** The processes of database servers on this host. */
import { readlink } from "node:fs/promises";
import { join } from "node:path";
import type { EngineName } from "../../errors.ts";
import { addressOf } from "./address.ts";
import { namesBelow, textBelow } from "./kernel.ts";
import { isLocal } from "./places.ts";
import { folderOf, type HostProcess, processes } from "./processes.ts";
import type { StackScope } from "./scope.ts";

export interface ServerProcess extends HostProcess {
  engine: EngineName;
}

/**
 * The processes of the configured servers that are on this host: those that listen at the port of the URL. Where that is not seen (a container
 * behind a forwarded port, processes of other users), all processes of that program. @throws Unknowable where there is no /proc
 */
export async function localServers({
  root,
  targets,
}: Pick<StackScope, "root" | "targets">): Promise<ServerProcess[]> {
  const near = targets.filter((target) => target.engine !== "sqlite" && isLocal(target));
  if (near.length === 0) return [];
  const all = await processes(root, false);
  const found = await Promise.all(
    near.map(async (target) => {
      const { engine } = target;
      const named = all.filter((one) => isServer(one, engine));
      const sockets =
        named.length > 1 ? await socketsAt(root, addressOf(target)?.port ?? 0) : new Set<string>();
      const listening: HostProcess[] = [];
      for (const one of named) if (await holds(root, one, sockets)) listening.push(one);
      // nobody listens there: those that run are the servers of others
      if (named.length > 1 && sockets.size === 0) return [];
      return (listening.length > 0 ? listening : named).map((one) => ({ ...one, engine }));
    }),
  );
  return found.flat();
}

/** A listening socket, in /proc/net/tcp (proc(5)). */
const LISTEN = "0A";

/** Numbers of the sockets that listen at a port, as they stand in /proc/PID/fd. */
async function socketsAt(root: string, port: number): Promise<Set<string>> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const found = new Set<string>();
  for (const table of ["proc/net/tcp", "proc/net/tcp6"]) {
    for (const line of ((await textBelow(root, table)) ?? "").split("\n")) {
      const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === LISTEN && local?.endsWith(`:${hex}`)) found.add(`socket:[${inode}]`);
    }
  }
  return found;
}

async function holds(root: string, { pid }: HostProcess, sockets: Set<string>): Promise<boolean> {
  if (sockets.size === 0) return false;
  for (const fd of await namesBelow(root, `proc/${pid}/fd`)) {
    const link = await readlink(join(root, `proc/${pid}/fd/${fd}`)).catch(() => "");
    if (sockets.has(link)) return true;
  }
  return false;
}

function isServer({ name, args }: HostProcess, engine: EngineName): boolean {
  switch (engine) {
    case "redis":
      return /^(redis|valkey)-server$/.test(name);
    case "postgres":
      // the postmaster is started with its folder; its children have a title instead of arguments
      return /^(postgres|postmaster)$/.test(name) && dataOption(args) !== undefined;
    case "neo4j":
      return (
        /^java/.test(name) && args.some((arg) => /^org\.neo4j\.server\.|^com\.neo4j\.server\./.test(arg))
      );
    default:
      return false;
  }
}

/** Where a server keeps its data, as far as its process tells. */
export async function dataFolder(root: string, server: ServerProcess): Promise<string | undefined> {
  // Redis changes to its folder
  if (server.engine === "redis") return folderOf(root, server.pid);
  if (server.engine === "postgres") return dataOption(server.args);
  const home = server.args
    .map((arg) => /^--home-dir=(.+)$/.exec(arg)?.[1])
    .find((path) => path !== undefined);
  return home === undefined ? undefined : join(home, "data");
}

function dataOption(args: readonly string[]): string | undefined {
  const at = args.indexOf("-D");
  return at > 0 ? args[at + 1] : args.map((arg) => /^-D(\/.+)$/.exec(arg)?.[1]).find((path) => path);
}
