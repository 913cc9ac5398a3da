import type { EngineName } from "../../../errors.ts";
import type { Check, Found } from "../check.ts";
import { namesBelow, textBelow } from "../kernel.ts";
import type { StackScope } from "../scope.ts";
import { localServers, type ServerProcess } from "../servers.ts";
import { TITLES } from "../words.ts";

/** Share of its files from which a server is in danger, per cent. */
const NEAR_PERCENT = 80;
/**
 * What each server asks for: Neo4j says so when it starts with less; Redis needs one per client (10,000) and 32 of its own; PostgreSQL opens
 * up to max_files_per_process (1,000) in each process.
 */
const ADVISED: Readonly<Record<EngineName, number>> = {
  neo4j: 40_000,
  redis: 10_032,
  postgres: 1_024,
  sqlite: 0,
};

export const hostFileLimit: Check<StackScope> = {
  id: "host-file-limit",
  area: "host",
  title: "a server may open few files",
  looks:
    "`Max open files` in /proc/PID/limits and the open files in /proc/PID/fd of the servers on this host",
  run: async (_call, scope) => {
    const found = await Promise.all((await localServers(scope)).map((server) => limitOf(scope.root, server)));
    return found.flat();
  },
};

async function limitOf(root: string, server: ServerProcess): Promise<Found[]> {
  const { engine, pid, name } = server;
  const limits = await textBelow(root, `proc/${pid}/limits`);
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits ?? "")?.[1] ?? Number.POSITIVE_INFINITY);
  const open = (await namesBelow(root, `proc/${pid}/fd`)).length;
  const isNear = (open / soft) * 100 >= NEAR_PERCENT;
  if (!isNear && soft >= ADVISED[engine]) return [];
  return [
    {
      severity: isNear ? "warning" : "info",
      subject: `${TITLES[engine]} (${name}, process ${pid})`,
      evidence: `it may open ${soft} files, ${open} are open; ${ADVISED[engine]} are advised`,
      cause:
        "connections and files count alike: at the limit it refuses clients and fails to open data with `too many open files`",
      remedies: [],
      advice: `set LimitNOFILE=${Math.max(ADVISED[engine], 2 * soft)} in the [Service] section (systemctl edit), or ulimits in the compose file, and restart it`,
    },
  ];
}
