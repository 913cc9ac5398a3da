import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type HostOptions, readHost } from "../../host.ts";
import type { Check, Found } from "../check.ts";
import { docker, objectsIn } from "../docker.ts";
import type { StackScope } from "../scope.ts";

/** As `docker system df --format '{{json .}}'` prints it. */
interface Usage {
  /** `Images`, `Containers`, `Local Volumes`, `Build Cache` */
  Type: string;
  /** `12.3GB` */
  Size: string;
  /** `9.8GB (79%)` */
  Reclaimable: string;
}

const DF = ["system", "df", "--format", "{{json .}}"];
/** It adds up every file of every container, ms; without it a full disk is said all the same. */
const DF_LIMIT_MS = 7_000;
/** Unused data from which it says something on a disk that has space left. */
const MUCH_BYTES = 20e9;
/** Docker counts in powers of ten. */
const UNITS: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12 };

/**
 * What removes only what can be had again. Volumes hold data, also those that no container uses; so does a stopped container: all of a database
 * that was started without a volume. `docker system prune` takes such containers (https://docs.docker.com/reference/cli/docker/system/prune/).
 */
const PRUNES: Readonly<Record<string, readonly string[]>> = {
  Images: ["docker", "image", "prune", "--force"],
  "Build Cache": ["docker", "builder", "prune", "--force"],
};

const pruneOf = ({ Type }: Usage) => PRUNES[Type];

/** @param statfs for tests: a full disk cannot be had as a folder */
export function dockerDisk(statfs?: HostOptions["statfs"]): Check<StackScope> {
  return {
    id: "docker-disk",
    area: "docker",
    title: "the disk of Docker is nearly full, or holds much that nothing uses",
    looks: "docker system df, and the disk of the folder that docker info names",
    run: async (call, scope) => {
      const folder = (await docker(call, scope, ["info", "--format", "{{.DockerRootDir}}"]))?.trim();
      if (folder === undefined) return [];
      const percent = await usedPercent(scope.root, folder, statfs);
      const isFull = percent !== null && percent >= scope.thresholds.disk_warning;
      const usage = objectsIn<Usage>((await docker(call, scope, DF, DF_LIMIT_MS)) ?? "");
      const bytes = usage.reduce((sum, one) => sum + (pruneOf(one) ? bytesIn(one.Reclaimable) : 0), 0);
      if (!isFull && bytes < MUCH_BYTES) return [];
      return [finding(scope, { folder, percent, isFull, bytes, usage })];
    },
  };
}

function finding(
  { thresholds }: StackScope,
  seen: { folder: string; percent: number | null; isFull: boolean; bytes: number; usage: Usage[] },
): Found {
  const { folder, percent, isFull, bytes, usage } = seen;
  const remedies = usage.flatMap((one) => {
    const argv = pruneOf(one);
    return argv && bytesIn(one.Reclaimable) > 0 ? [{ argv, safe: false }] : [];
  });
  const parts = usage.map(({ Type, Size, Reclaimable }) => `${Type} ${Size}, unused ${Reclaimable}`);
  return {
    severity: !isFull ? "info" : percent! >= thresholds.disk_critical ? "error" : "warning",
    subject: isFull ? `disk of ${folder}` : "data of Docker",
    evidence: [
      ...(isFull ? [`${percent} % in use`] : []),
      ...(parts.length > 0 ? [`${(bytes / 1e9).toFixed(1)} GB are unused (${parts.join("; ")})`] : []),
    ].join("; "),
    cause: isFull
      ? "when it is full, containers do not start and the databases in them cannot write"
      : "images and build cache that nothing uses take space until they are removed",
    remedies,
    advice:
      "docker system df -v shows what is large; docker image prune --all also takes unused images that have a name. " +
      "Beware of docker system prune: it deletes stopped containers with the data in them, with --volumes volumes too",
  };
}

async function usedPercent(
  root: string,
  folder: string,
  statfs: HostOptions["statfs"],
): Promise<number | null> {
  // a Docker on another host, or in a machine of its own, has its folder there
  const isHere =
    folder.startsWith("/") && (await stat(join(root, folder)).catch(() => undefined)) !== undefined;
  if (!isHere) return null;
  const { disks } = await readHost({ root, sampleMs: 0, paths: [folder], statfs });
  return disks[0]!.usage_percent;
}

function bytesIn(text: string): number {
  const [, number, unit] = /^([\d.]+)\s*([kKMGT]?B)/.exec(text) ?? [];
  return Number(number ?? 0) * (UNITS[unit?.toUpperCase() ?? "B"] ?? 1);
}
