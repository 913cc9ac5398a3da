/** The folders and files on this host whose loss or fill would hurt. */
import { dirname } from "node:path";
import type { EngineName } from "../../errors.ts";
import { Unknowable } from "./check.ts";
import type { StackScope } from "./scope.ts";
import { dataFolder, localServers } from "./servers.ts";
import { TITLES } from "./words.ts";

export interface DataPath {
  path: string;
  /** `the data file`, `the data of PostgreSQL`. */
  what: string;
  kind: "sqlite" | "archives" | "server";
  engine: EngineName | null;
}

/** What says where data are. */
export type DataScope = Pick<StackScope, "root" | "targets"> & {
  files: Pick<StackScope["files"], "data" | "state" | "archives">;
};

/** opsctl's own files and archives, and the data folders of servers on this host as far as their processes tell. */
export async function dataPaths(scope: DataScope): Promise<DataPath[]> {
  const { data, state, archives } = scope.files;
  return [
    { path: data, what: "the data file", kind: "sqlite", engine: "sqlite" },
    { path: state, what: "the state file", kind: "sqlite", engine: null },
    { path: archives, what: "the archives", kind: "archives", engine: null },
    ...(await serverPaths(scope)),
  ];
}

async function serverPaths(scope: DataScope): Promise<DataPath[]> {
  try {
    const servers = await localServers(scope);
    const paths = await Promise.all(
      servers.map(async (server) => ({ path: await dataFolder(scope.root, server), server })),
    );
    return paths.flatMap(({ path, server }) =>
      path === undefined || dirname(path) === path
        ? []
        : [
            {
              path,
              what: `the data of ${TITLES[server.engine]}`,
              kind: "server" as const,
              engine: server.engine,
            },
          ],
    );
  } catch (error) {
    // without processes the paths of opsctl itself remain
    if (error instanceof Unknowable) return [];
    throw error;
  }
}
